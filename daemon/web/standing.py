"""Batches and tables as they stand, the same in every answer of command and door."""

from config.links import link_shown
from config.settings import Settings
from daemon.tables.standing import Hindrance, RefusedRow, standing_of
from daemon.web.batch_documents import BatchDocument, EtaDocument
from daemon.web.table_documents import HindranceDocument, RefusedRowDocument, TableDocument
from daemon.words import Words
from ledger.batch import Batch
from ledger.entry import CLAIMS
from ledger.index import Index
from ledger.statistics import statistics
from ledger.status import OPEN_STAGES
from ledger.task import Json


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


def table_documents(index: Index, settings: Settings, words: Words) -> list[TableDocument]:
    """Return how each table of the settings stands; nobody is asked."""
    claims: list[Json] = list(index.meta(CLAIMS).values())
    documents = []
    for table in settings.tables:
        standing = standing_of(index, table.name)
        own = words.about({**table.columns, **standing.headings})
        stages = map(index.stage_of, index.unpublished(table.name))  # thousands: read no records
        documents.append(
            TableDocument(
                name=table.name,
                kind=table.kind,
                place=str(table.path or link_shown(table.url)),
                reading=_worded(standing.reading, own),
                writing=_worded(standing.writing, own),
                unpublished=sum(stage is not None and stage not in OPEN_STAGES for stage in stages),
                being_taken=sum(_is_of(claim, table.name) for claim in claims),
                refused=standing.refused,
                refused_rows=[_told(row, own) for row in standing.refused_rows],
                edited=list(standing.edited),
                headings=standing.headings,
            )
        )
    return documents


def _told(row: RefusedRow, words: Words) -> RefusedRowDocument:
    return RefusedRowDocument(row=row.place, code=row.trouble.code, message=row.trouble.text(words))


def _worded(hindrance: Hindrance | None, words: Words) -> HindranceDocument | None:
    if hindrance is None:
        return None
    trouble = hindrance.trouble
    return HindranceDocument(code=trouble.code, message=trouble.text(words), since=hindrance.since)


def _is_of(claim: Json, table: str) -> bool:
    return isinstance(claim, dict) and claim.get("table") == table
