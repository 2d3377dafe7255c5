"""Under which names the door may be asked for: a guard against pages of other origins."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from aiohttp import web

from daemon.web.refusal import Refusal


class Hosts:
    """Loopback, the address we listen at, and the names that the settings allow."""

    def __init__(self, listening_at: str, allowed: Sequence[str]) -> None:
        self._names = {name.lower().strip("[]") for name in allowed}
        if not _is_wildcard(listening_at):
            self._names.add(listening_at.lower().strip("[]"))
        self._known = lru_cache(maxsize=64)(self.allows)  # clients ask under few names

    def check(self, request: web.BaseRequest) -> None:
        """Return when *request* may be answered; raises Refusal (421 for Host, 403 for Origin).

        A page of a foreign site may reach us through the user's browser, under a name that its
        maker points at 127.0.0.1; it cannot lie about the names in these two headers.
        """
        host = request.headers.get("Host", "")
        if not self._known(f"//{host}"):
            raise Refusal("host_refused", 421, host=host[:200])
        origin = request.headers.get("Origin")
        if origin is not None and not self._known(origin):
            raise Refusal("origin_refused", 403, origin=origin[:200])

    def allows(self, url: str) -> bool:
        """Say whether the host of *url* is ours."""
        try:
            name = urlsplit(url).hostname
        except ValueError:
            return False
        if not name:
            return False
        name = name.rstrip(".").lower()
        return name in self._names or is_loopback(name)


def is_loopback(name: str) -> bool:
    """Say whether *name* is this machine and nothing else, without asking anybody."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return False
