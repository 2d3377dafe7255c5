"""What keeps work from going on, as the running daemon sees it."""

from daemon.concern import Concern
from daemon.web.desk import Desk


def concerns_of(desk: Desk) -> list[Concern]:
    """Return the troubles that a person can mend, the ledger's first."""
    path = str(desk.settings.ledger.path)
    ledger = [] if desk.ledger.writable else [Concern("concern.ledger", {"path": path})]
    return [*ledger, *desk.concerns()]
