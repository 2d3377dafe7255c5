"""What `check` finds where the page is to be: whether the daemon can listen there."""

import errno
import os
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from config.settings import Settings, Web
from daemon.cli.check_line import CheckLine
from daemon.web.address import address_in
from daemon.words import Words
from ledger.jsondir.lock import read_holder


def look_at_web(settings: Settings, words: Words) -> Iterator[CheckLine]:
    """Yield whether a start could listen at ``web.host`` and ``web.port``; nothing stays open."""
    port = settings.web.port
    if port == 0:
        yield CheckLine(level="ok", name="web", message=words("check.port_any"))
        return
    if _is_ours(settings):
        yield CheckLine(level="ok", name="web", message=words("check.port_ours", port=port))
        return
    try:
        _try_to_listen(settings.web)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        key = "check.port_taken" if taken else "check.port_denied"
        reason = error.strerror or os.strerror(error.errno or 0)
        message = words(key, host=settings.web.host, port=port, reason=reason)
        yield CheckLine(level="fail", name="web", message=message, is_config=True)
    else:
        yield CheckLine(level="ok", name="web", message=words("check.port_free", port=port))


def _is_ours(settings: Settings) -> bool:
    """Say whether it is the daemon of this very ledger that listens there."""
    holder, address = read_holder(settings.ledger.path), address_in(settings.state_dir)
    if holder is None or address is None or address.pid != holder.pid:
        return False
    return urlsplit(address.url).port == settings.web.port


def _try_to_listen(web: Web) -> None:
    """Listen as the daemon would, for a moment; raises OSError."""
    host = web.host.strip("[]") or None
    kind, passive = socket.SOCK_STREAM, socket.AI_PASSIVE
    for family, _, _, _, where in socket.getaddrinfo(host, web.port, type=kind, flags=passive):
        with socket.socket(family, kind) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(where)
            listener.listen(1)
