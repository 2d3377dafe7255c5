"""The sign at the door: ``<state_dir>/web.json`` says where the daemon listens, while it does."""

import asyncio
import os
from pathlib import Path

import msgspec
import structlog

from daemon.clock import Clock
from daemon.durable import write_private
from daemon.web.address import Address, address_file

log = structlog.get_logger()

LOOK_SECONDS = 5.0


class Sign:
    """Put up when the door opens; one that somebody removed or wrote over is put up anew.

    A crash leaves it behind; whoever reads it compares the process id.
    """

    name = "web-address"

    def __init__(self, state_dir: Path, clock: Clock) -> None:
        self._file = address_file(state_dir)
        self._clock = clock
        self._content: bytes | None = None  # while it is up
        self._changing = asyncio.Lock()  # none is put up anew while it is taken down

    async def put_up(self, url: str) -> None:
        """Say that the door is at *url*; raises OSError."""
        async with self._changing:
            self._content = msgspec.json.encode(Address(url=url, pid=os.getpid())) + b"\n"
            await asyncio.to_thread(write_private, self._file, self._content)

    async def take_down(self) -> None:
        """Remove the sign; nothing happens when it is not up."""
        async with self._changing:
            if self._content is not None:
                self._content = None
                await asyncio.to_thread(self._file.unlink, missing_ok=True)

    async def run(self, stop: asyncio.Event) -> None:
        """See that the sign stays up, until *stop*."""
        while not stop.is_set():
            await self._clock.pause(LOOK_SECONDS, stop)
            async with self._changing:
                if self._content is not None:
                    await asyncio.to_thread(self._put_up_anew, self._content)

    def _put_up_anew(self, content: bytes) -> None:
        try:
            if self._file.exists() and self._file.read_bytes() == content:
                return
            write_private(self._file, content)
        except OSError as error:  # no room, or no folder any more: looked at again
            log.warning("web.address_not_written", path=str(self._file), error=str(error))
        else:
            log.warning("web.address_written_anew", path=str(self._file))
