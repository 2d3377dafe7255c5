"""Tables: how they stand, and putting right what differs from the ledger."""

from daemon.publish.reconcile import Reconciliation
from daemon.tables.errors import TableError
from daemon.tables.handle import TableHandle
from daemon.web.decoding import Nothing
from daemon.web.endpoint import Call
from daemon.web.standing import table_documents
from daemon.web.table_documents import (
    DifferenceDocument,
    ReconciledDocument,
    ReconciliationDone,
    TablesDocument,
    reconciled,
)


async def list_tables(call: Call[Nothing, Nothing]) -> TablesDocument:
    """Answer how each table of the settings stands."""
    desk = call.desk
    return TablesDocument(table_documents(desk.ledger.index, desk.settings, call.words))


async def reconcile(call: Call[Nothing, Nothing]) -> ReconciliationDone:
    """Put right every cell that differs from the ledger, in all tables."""
    desk = call.desk
    found = [
        await reconcile_one(each, Reconciliation(each, desk.ledger, desk.output_path, desk.clock))
        for each in desk.tables
    ]
    return reconciled(found, call.words)


async def reconcile_one(handle: TableHandle, reconciliation: Reconciliation) -> ReconciledDocument:
    """Return what was put right in a table, or why it could not be."""
    try:
        found = await reconciliation.run()
    except TableError as error:
        why = error.trouble.text(handle.words)
        return ReconciledDocument(table=handle.name, error=why)
    return ReconciledDocument(
        table=found.table,
        rows=found.rows,
        gone=found.gone,
        refused=found.refused,
        differences=[
            DifferenceDocument(row=each.row, column=each.column, was=each.was, now=each.now)
            for each in found.differences
        ],
        headings=handle.headings,
    )
