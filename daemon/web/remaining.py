"""Batches with when they will have ended, by the servers that take work now."""

from collections.abc import Iterator

from daemon.upkeep.eta import estimate, remaining_work
from daemon.web.batch_documents import BatchDocument, EtaDocument
from daemon.web.desk import Desk
from daemon.web.standing import batch_document
from ledger.batch import Batch, BatchStatus


def eta_of(desk: Desk, batch: Batch) -> EtaDocument | None:
    """Return the range, None for a batch that does not run and while nobody can know."""
    if batch.status is not BatchStatus.RUNNING or batch.held is not None:
        return None
    working = [state.name for state in desk.servers if state.takes_work]
    work = remaining_work(desk.ledger, batch.batch_id, desk.clock.now())
    eta = estimate(work, working, desk.tallies.run_times)
    if eta is None:
        return None
    return EtaDocument(low_seconds=eta.low_seconds, high_seconds=eta.high_seconds)


def batch_documents(desk: Desk) -> Iterator[BatchDocument]:
    """Yield all batches, oldest first, each as it stands when its turn comes."""
    for batch in desk.ledger.batches():
        yield batch_document(desk.ledger.index, batch, eta_of(desk, batch))
