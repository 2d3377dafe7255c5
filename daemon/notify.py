"""Tells the service manager how the daemon stands: systemd's sd_notify protocol.

One datagram a message to ``$NOTIFY_SOCKET`` (see sd_notify(3)); without that variable nothing is
told. A message that cannot be sent is dropped: the work never waits for its watcher.
"""

import contextlib
import os
import socket
import time
from collections.abc import Mapping


class ServiceManager:
    """Who started the daemon and wants to know when it is ready, and that it lives."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """Open the socket that *env* names; raises OSError when there can be none."""
        address = env.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if address.startswith(("/", "@")):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.settimeout(0)
        self._is_ready = False
        self.watchdog_seconds = _watchdog_seconds(env) if self._socket else None

    def close(self) -> None:
        """Tell nothing any more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ready(self) -> None:
        """Say that the start, or a reload, is over."""
        self._is_ready = True
        self._tell("READY=1")

    def reloading(self) -> None:
        """Say that settings are read anew; ``ready`` ends it. During the start it is no news."""
        if self._is_ready:
            self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self) -> None:
        """Say that the reload is over; a start that goes on is not."""
        if self._is_ready:
            self.ready()

    def stopping(self) -> None:
        """Say that the end has begun; it has the watchdog's whole time from now."""
        self._tell("STOPPING=1", *self._feed())

    def status(self, text: str) -> None:
        """Show *text*, one line, in ``systemctl status``."""
        self._tell(f"STATUS={' '.join(text.split())}")

    def starts_later(self, text: str, *, seconds: float) -> None:
        """Say that the start takes *seconds* more at least, and why."""
        self.status(text)
        self._tell(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def feed_watchdog(self) -> None:
        """Say that the event loop turns; nothing when no watchdog waits for it."""
        if feed := self._feed():
            self._tell(*feed)

    def _feed(self) -> tuple[str, ...]:
        return () if self.watchdog_seconds is None else ("WATCHDOG=1",)

    def _tell(self, *assignments: str) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.sendto("\n".join(assignments).encode(), self._address)


def _watchdog_seconds(env: Mapping[str, str]) -> float | None:
    """Return how long the watchdog waits, None when it does not wait for this process."""
    usec, pid = env.get("WATCHDOG_USEC", ""), env.get("WATCHDOG_PID")
    if not usec.isdecimal() or int(usec) == 0 or pid not in (None, "", str(os.getpid())):
        return None
    return int(usec) / 1e6
