"""Whether the rows of a queue may run now, whatever server asks."""

from collections.abc import Callable

from daemon.dispatch.place import Place
from ledger.ledger import Ledger
from ledger.status import OPEN_STAGES


def has_its_turn(
    ledger: Ledger, runs: Callable[[str], bool], head: Place, *, pictures_first: bool
) -> bool:
    """Say whether the queue of *head* may give a row; those retried by hand run by themselves.

    Not, however, those that were retried before their batch was paused or stopped. *runs* says
    whether a batch's waiting rows may run; *pictures_first*: all of a batch before its first video.
    """
    batch_id, terms = head.batch_id, head.terms
    if terms.retried_at is not None:
        batch = ledger.index.find_batch(batch_id)
        halted_at = batch.halted_at if batch else None
        return halted_at is None or terms.retried_at >= halted_at or runs(batch_id)
    if pictures_first and terms.row_stage > 1 and _first_stage_open(ledger, batch_id):
        return False
    return runs(batch_id)


def _first_stage_open(ledger: Ledger, batch_id: str) -> bool:
    first = ledger.stage_counts(batch_id)[1]
    blocked = ledger.blocked_counts(batch_id)[1]
    return sum(first[stage] for stage in OPEN_STAGES) > blocked
