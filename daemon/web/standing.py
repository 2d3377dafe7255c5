"""A batch as it stands, the same in every answer; loads no more than a command can afford."""

from daemon.web.batch_documents import BatchDocument, EtaDocument
from ledger.batch import Batch
from ledger.index import Index
from ledger.statistics import statistics


def batch_document(
    index: Index,
    batch: Batch,
    eta: EtaDocument | None = None,
    gpu_seconds: dict[str, float] | None = None,
) -> BatchDocument:
    """Return the batch with its counts; only a running daemon knows its *eta*."""
    counts = statistics(index, batch.batch_id)
    return BatchDocument(
        batch_id=batch.batch_id,
        name=batch.name,
        status=batch.status.value,
        stage=counts.stage,
        held=batch.held,
        created_at=batch.created_at,
        updated_at=batch.updated_at,
        rerun_of=batch.rerun_of,
        statistics=counts,
        eta=eta,
        gpu_seconds=gpu_seconds,
    )
