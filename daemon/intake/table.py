"""The poller of a table: rows that are ready become tasks, commands are obeyed."""

import asyncio
import random
from collections.abc import Iterator, Sequence

import structlog

from config.settings import poll_seconds
from daemon.clock import Clock
from daemon.concern import Concern
from daemon.intake.claims import Claims
from daemon.intake.command_column import CommandColumn
from daemon.intake.errors import Postponed
from daemon.intake.restoring import Restoration
from daemon.intake.table_rows import TableRows
from daemon.intake.wants import Wants
from daemon.tables.cells import Change, Reading, Row
from daemon.tables.columns import CREATED_KEYS, insist_on_columns, missing_keys
from daemon.tables.errors import InUse, TableError, Trouble, Unreachable
from daemon.tables.handle import TableHandle
from daemon.tables.overwritten import REMEMBERED_FOR
from daemon.tables.status import RowStatus, read_status
from daemon.words import Words
from ledger.errors import LedgerError
from ledger.timestamps import to_timestamp

log = structlog.get_logger()

#: Rows that are taken together: one write of the table, one transaction. Pictures that lie in
#: cells are fetched before, some per second only, so rows with them are taken in smaller portions.
PORTION, PORTION_FILES = 300, 40
#: A row that was refused is looked at again so often even if its table did not change: the
#: picture that it names may have come.
REFUSED_AGAIN_SECONDS = 30.0
#: The pause after a look that found something: more may have come meanwhile.
BUSY_SECONDS = 0.2
#: Rows that want nothing are left out of most looks where leaving them out saves calls; whether
#: finished ones were edited is looked at so often, and at the start.
WHOLE_SECONDS = 3600.0
#: Failures after which a run that is to end does not wait for the table any longer.
GIVEN_UP_AFTER_FAILURES = 3
#: Where a look counts for a quota, the pause grows by this while nothing changes, up to so much.
QUIET_FACTOR, LONGEST_QUIET = 1.25, 5.0
#: Longest pause after failures that heal by themselves.
LONGEST_PAUSE_SECONDS = 300.0


class TablePoller:
    """Takes the ready rows of one table; a row counts as taken once the ledger holds it.

    What was read is only a hint: each write goes to a row that still is as it was read, and what
    is recorded is what the row said after it bore its id. A kill at any instant neither loses nor
    doubles a row (see ``claims``).
    """

    def __init__(
        self,
        handle: TableHandle,
        *,
        rows: TableRows,
        restoration: Restoration,
        claims: Claims,
        commands: CommandColumn,
        clock: Clock,
    ) -> None:
        self.name = f"table:{handle.name}"
        self.wake = asyncio.Event()  # somebody knows that the table changed
        self._handle = handle
        self._rows = rows
        self._restoration = restoration
        self._claims = claims
        self._commands = commands
        self._clock = clock
        self._seen: str | None = None
        self._refused_due: float | None = None
        self._whole_due = 0.0
        self._failures = 0
        self._quiet = 0  # looks in a row that found the table as it was
        self.idle = False  # the last look found nothing to do, or could not look

    @property
    def concerns(self) -> list[Concern]:
        """What of the archive cannot be read, and was needed to know a row again."""
        return self._rows.concerns

    async def run(self, stop: asyncio.Event) -> None:
        """Look at the table now and then until *stop*; a portion being taken is finished."""
        since = to_timestamp(self._clock.now() - REMEMBERED_FOR)
        await self._rows.expect_taken(since)
        while not stop.is_set():
            self.wake.clear()
            self.idle = await self.look(stop)
            await self._clock.pause(self._pause_seconds(), stop, self.wake)

    async def look(self, stop: asyncio.Event) -> bool:
        """Take what is ready, obey commands, tell what is wrong; says whether nothing was left.

        What keeps the table from being read is noted in its standing, and not raised.
        """
        try:
            done = await self._look(stop)
        except TableError as error:
            self._failures += 1
            await self._handle.note_reading(error)
            passes = isinstance(error, Unreachable | InUse)
            return not passes or self._failures >= GIVEN_UP_AFTER_FAILURES
        except (LedgerError, Postponed) as error:
            self._failures += 1
            log.warning("table.postponed", table=self._handle.name, error=str(error))
            return False
        self._failures = 0
        await self._handle.note_reading(None)
        return done

    async def _look(self, stop: asyncio.Event) -> bool:
        await self._claims.finish_open()
        at = to_timestamp(self._clock.now())
        reading = await self._read()
        if reading is None:
            self._quiet += 1
            return True
        self._quiet = 0
        reading = await self._with_columns(reading)
        wants = await self._rows.sort(reading, self._claims.open(), at)
        if wants.copies:
            await self._handle.note_copies(wants.copies)
        await self._restoration.restore(wants)
        await self._commands.forget_emptied(reading)
        await self._commands.obey(wants.commands)
        refused = await self._take(wants, stop)
        reports = [*wants.reports, *refused]
        await self._report(reports)
        if stop.is_set():  # rows may be left that nobody looked at: what stands is nearer the truth
            return False
        waiting = [each for each in reports if not self._rows.is_at_end(each[0], reading.columns)]
        await self._handle.note_rows(refused=waiting, edited=self._rows.edited)
        self._refused_due = self._clock.monotonic() + REFUSED_AGAIN_SECONDS if refused else None
        restored = wants.robbed or wants.overwritten or wants.outdated
        self._seen = None if restored else reading.revision  # the same copy may be saved again
        return not (wants.commands or restored or len(wants.ready) > len(refused))

    async def _read(self) -> Reading | None:
        """Return the table, None when it is as it was; now and then with every row in it."""
        now = self._clock.monotonic()
        if now < self._whole_due:
            return await self._handle.table.read(self._seen_now())
        reading = await self._handle.table.read_all()
        self._whole_due = now + WHOLE_SECONDS
        return reading

    def _seen_now(self) -> str | None:
        """Return the revision that need not be read again; None when it must be all the same."""
        due = self._refused_due
        return None if due is not None and self._clock.monotonic() >= due else self._seen

    async def _with_columns(self, reading: Reading) -> Reading:
        """Return the table once it has the columns it needs; raises Misconfigured."""
        table = self._handle.table
        if missing_keys(reading.columns) and self._handle.settings.create_columns:
            async with self._handle.writing:
                await table.add_columns([k for k in CREATED_KEYS if k not in reading.columns])
            reading = await table.read_all()
        self._handle.learn(reading.columns)
        insist_on_columns(reading.columns, table.naming)
        return reading

    async def _take(self, wants: Wants, stop: asyncio.Event) -> list[tuple[Row, Trouble]]:
        refused: list[tuple[Row, Trouble]] = []
        for portion in _portions(wants.ready):
            if stop.is_set():
                break
            refused += await self._claims.take(portion)
        return refused

    async def _report(self, reports: list[tuple[Row, Trouble]]) -> None:
        """Write into each row what is wrong with it; one that says so already is left alone."""
        told = [(row, _told_cells(row, why, self._handle.words)) for row, why in reports]
        changes = [
            Change(row=row, cells=cells)
            for row, cells in told
            if any(row.text(key) != (value or "") for key, value in cells.items())
        ]
        if not changes:
            return
        for change in changes[:20]:
            place = change.row.place if isinstance(change.row, Row) else change.row
            log.info("table.row_refused", table=self._handle.name, row=place, **change.cells)
        async with self._handle.writing:
            await self._handle.table.write(changes)

    def _pause_seconds(self) -> float:
        seconds = poll_seconds(self._handle.settings)
        if self._failures:
            longest = max(seconds, LONGEST_PAUSE_SECONDS)
            seconds = min(seconds * 2.0 ** min(self._failures, 16), longest)
            seconds *= 1 + 0.2 * random.random()
        elif not self.idle:
            seconds = min(seconds, BUSY_SECONDS)
        elif not self._handle.settings.is_file:
            seconds *= min(QUIET_FACTOR**self._quiet, LONGEST_QUIET)
        if self._refused_due is not None:
            seconds = min(seconds, max(1.0, self._refused_due - self._clock.monotonic()))
        return seconds


def _told_cells(row: Row, why: Trouble, words: Words) -> dict[str, str | None]:
    """Return what a row is told; a copy of a row at work does not look as if it were at work."""
    cells: dict[str, str | None] = {"error": why.text(words)}
    if why.code == "copied" and read_status(row.text("status")) is RowStatus.PROCESSING:
        cells["status"] = None
    return cells


def _portions(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Part *rows* into those that are taken together."""
    portion: list[Row] = []
    files = 0
    for row in rows:
        if portion and (len(portion) == PORTION or files + len(row.files) > PORTION_FILES):
            yield portion
            portion, files = [], 0
        portion.append(row)
        files += len(row.files)
    if portion:
        yield portion
