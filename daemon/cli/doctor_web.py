"""What `check` finds where the page is to be: whether the daemon can listen there."""

import errno
from collections.abc import Iterator
from urllib.parse import urlsplit

from config.settings import Settings, Web
from daemon.cli.check_line import CheckLine
from daemon.web.address import address_in, try_to_listen
from daemon.words import Words
from ledger.jsondir.holder import read_holder
from ledger.jsondir.lock import is_locked


def look_at_web(settings: Settings, words: Words) -> Iterator[CheckLine]:
    """Yield whether a start could listen at ``web.host`` and ``web.port``; nothing stays open."""
    port = settings.web.port
    if port == 0:
        yield CheckLine(level="ok", name="web", message=words("check.port_any"))
        return
    holder, address = read_holder(settings.ledger.path), address_in(settings.state_dir)
    is_open = holder is not None and address is not None and address.pid == holder.pid
    if is_open and address is not None and urlsplit(address.url).port == port:
        yield CheckLine(level="ok", name="web", message=words("check.port_ours", port=port))
        return
    try:
        try_to_listen(settings.web.host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and holder is not None and not is_open:
            message = words("check.port_starting", port=port, pid=holder.pid)
            yield CheckLine(level="warn", name="web", message=message)
        elif error.errno == errno.EADDRINUSE and holder is None and is_locked(settings.ledger.path):
            message = words("check.port_waiting", port=port)
            yield CheckLine(level="warn", name="web", message=message)
        else:
            yield _unusable(settings.web, error, words)
    else:
        yield CheckLine(level="ok", name="web", message=words("check.port_free", port=port))


def _unusable(web: Web, error: OSError, words: Words) -> CheckLine:
    key = "check.port_taken" if error.errno == errno.EADDRINUSE else "check.port_denied"
    message = words(key, host=web.host, port=web.port, reason=error)
    return CheckLine(level="fail", name="web", message=message, is_config=True)
