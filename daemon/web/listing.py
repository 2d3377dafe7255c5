"""Pages of tasks, looked up in the running daemon: the loop gets its turn again and again."""

from daemon.web.paging import Page, Wanted, look_back, look_through
from ledger.ledger import Ledger
from ledger.slices import in_turns


async def page_of(ledger: Ledger, wanted: Wanted, limit: int, cursor: str | None) -> Page:
    """Return up to *limit* of the wanted tasks behind *cursor*; raises Refusal, UnknownRecord."""
    return await in_turns(look_through(ledger.index, wanted, limit, cursor))


async def newest_of(ledger: Ledger, wanted: Wanted, limit: int) -> Page:
    """Return the newest *limit* of the wanted tasks; raises UnknownRecord."""
    return await in_turns(look_back(ledger.index, wanted, limit))
