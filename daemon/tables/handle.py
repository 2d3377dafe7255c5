"""A table of the settings with what its poller and its publisher share."""

import asyncio
from collections.abc import Collection, Sequence

import msgspec
import structlog

from config.output_name import columns_in
from config.settings import Settings, Workflow
from config.settings import Table as TableSettings
from daemon.clock import Clock
from daemon.tables.cells import Row
from daemon.tables.columns import Columns
from daemon.tables.copies import SECTION as COPIES
from daemon.tables.copies import Original, copied, seen_of
from daemon.tables.errors import TableError, Trouble
from daemon.tables.ongoing import Ongoing
from daemon.tables.standing import (
    REFUSED_NOTED,
    SECTION,
    Hindrance,
    RefusedRow,
    Standing,
    standing_of,
)
from daemon.tables.table import Table
from daemon.words import Words, words_of_tables
from daemon.words.headings import INPUT_HEADINGS, OUR_HEADINGS
from ledger.entry import Meta
from ledger.errors import LedgerError
from ledger.ledger import Ledger
from ledger.task import Task
from ledger.timestamps import to_timestamp

log = structlog.get_logger()


class TableHandle:
    """One table; ``writing`` is held by whoever writes its document.

    ``uploading`` by whoever puts results into it, which takes long: what is written meanwhile, such
    as the ids of new rows, does not wait for it. Who holds it never waits for ``writing``.
    """

    def __init__(
        self,
        table: Table,
        settings: TableSettings,
        *,
        writing: asyncio.Lock,
        ledger: Ledger,
        clock: Clock,
        words: Words,
        workflows: Collection[Workflow],
        output_name: str,
    ) -> None:
        """*words*: the language of what is written into the table; *workflows*: what rows run.

        *output_name*: the template of results' names, which may use any column.
        """
        self.words = words.about(table.naming.headings())
        self.headings: dict[str, str] = {}
        self.table = table
        self.settings = settings
        self.writing = writing
        self.uploading = asyncio.Lock()
        self._ledger = ledger
        self._clock = clock
        self._noting = asyncio.Lock()
        mapped = {
            table.naming.key_of(column) for workflow in workflows for column in workflow.inputs
        }
        self._inputs = ({*INPUT_HEADINGS} | mapped) - {*OUR_HEADINGS}
        named = {table.naming.key_of(column) for column in columns_in(output_name)}
        self._read = {*self._inputs, *OUR_HEADINGS, *named}

    @property
    def name(self) -> str:
        """The table's name in the settings; the ledger knows it by that."""
        return self.table.name

    def learn(self, columns: Columns) -> None:
        """Call the columns as the table does, in all that is said of it from now on."""
        self.words = self.words.about(self.table.naming.headings(columns))
        self.headings = {key: columns.headings[key] for key in OUR_HEADINGS if key in columns}

    @property
    def actor(self) -> str:
        """Who the journal says wanted what came from the table."""
        return f"table:{self.name}"

    def original(self, task: Task) -> Original:
        """Return what tells the row of *task* from its copies."""
        row, told = task.metadata.table_row, task.metadata.feishu_row_data
        seen = seen_of(self._ledger.meta(COPIES), self.name, row.key) if row else None
        return Original(
            inputs={key: told.get(key) for key in self._inputs},
            seen=seen,
            told_to_copies=copied(row.key).text(self.words) if row else "",
        )

    def problem_of(self, row: Row) -> Trouble | None:
        """Return why a row cannot be read; what stands in columns without a use does not matter."""
        return next((why for key, why in row.problems.items() if key in self._read), None)

    def ongoing(self, task_id: str, sha256: str) -> Ongoing:
        """Return what is known of the upload of a result of a task into the document."""
        key = f"{self.table.document}:{task_id}:{sha256}"
        return Ongoing(self._ledger, key, self._clock, self.actor)

    @property
    def standing(self) -> Standing:
        """How the table stands."""
        return standing_of(self._ledger, self.name)

    async def note_reading(self, error: TableError | None) -> None:
        """Note what keeps the table from being read, or None when it was read."""
        await self._note(reading=self._hindrance("reading", error, self.standing.reading))

    async def note_writing(self, error: TableError | None) -> None:
        """Note what keeps the table from being written, or None when it was written."""
        await self._note(writing=self._hindrance("writing", error, self.standing.writing))

    async def note_rows(
        self, *, refused: Sequence[tuple[Row, Trouble]], edited: tuple[str, ...]
    ) -> None:
        """Note which rows cannot run and why, and which were edited after they had finished."""
        first = tuple(
            RefusedRow(place=row.place, trouble=why) for row, why in refused[:REFUSED_NOTED]
        )
        await self._note(
            refused=len(refused), refused_rows=first, edited=edited, headings=self.headings
        )

    async def note_copies(self, notes: Sequence[Meta]) -> None:
        """Note what was seen of rows and their copies; raises LedgerError."""
        await self._ledger.commit(*notes, op="table.copies_seen", actor=self.actor)

    def _hindrance(
        self, doing: str, error: TableError | None, known: Hindrance | None
    ) -> Hindrance | None:
        """Return the hindrance; a new one and the end of one are logged, once."""
        if error is None:
            if known is not None:
                log.info("table.heals", table=self.name, doing=doing)
            return None
        if known is not None and known.trouble == error.trouble:
            return known
        log.warning("table.hindered", table=self.name, doing=doing, error=str(error))
        return Hindrance(trouble=error.trouble, since=to_timestamp(self._clock.now()))

    async def _note(self, **changes: object) -> None:
        async with self._noting:
            before = self.standing
            after = msgspec.structs.replace(before, **changes)
            if after == before:
                return
            value = msgspec.to_builtins(after)
            try:
                await self._ledger.commit(
                    Meta(section=SECTION, key=self.name, value=value),
                    op="table.noted",
                    actor=self.actor,
                )
            except LedgerError as error:  # it is noted again at the next look
                log.debug("table.not_noted", table=self.name, error=str(error))


def handles_of(
    tables: Sequence[Table], settings: Settings, ledger: Ledger, clock: Clock
) -> list[TableHandle]:
    """Return a handle for each table; those in one document share its lock."""
    locks: dict[str, asyncio.Lock] = {}
    words = words_of_tables(settings.language)
    return [
        TableHandle(
            table,
            own,
            writing=locks.setdefault(table.document, asyncio.Lock()),
            ledger=ledger,
            clock=clock,
            words=words,
            workflows=settings.workflows.values(),
            output_name=settings.outputs.name,
        )
        for table, own in zip(tables, settings.tables, strict=True)
    ]
