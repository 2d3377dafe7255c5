"""Whether rows of a table can run: their cells as a job file's row, their pictures in the store."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from daemon.folders import make_below
from daemon.intake.accept import Intake
from daemon.intake.columns import tidy_cells
from daemon.intake.errors import Postponed
from daemon.intake.grid import RawRow
from daemon.intake.records import AcceptedRow
from daemon.intake.row_cells import inputs_of
from daemon.intake.rows import RefusedRow
from daemon.tables.cells import Row
from daemon.tables.errors import Phrase, Refused, Trouble
from daemon.tables.handle import TableHandle
from daemon.words import LANGUAGES
from daemon.words.recorded import recorded
from ledger.task import Json

#: A row as it was read, with the work that it wants.
CheckedRow: TypeAlias = tuple[Row, AcceptedRow]


class RowCheck:
    """Checks rows of one table as the intake does; nothing is recorded."""

    def __init__(self, handle: TableHandle, intake: Intake, state_dir: Path) -> None:
        """Below *state_dir* pictures that lie in cells are put until the store has them."""
        self._handle = handle
        self._intake = intake
        self._state_dir = state_dir
        self._folder = state_dir / "tables" / handle.name

    async def check(
        self, rows: Sequence[Row]
    ) -> tuple[list[CheckedRow], list[tuple[Row, Trouble]]]:
        """Part the rows that can run from the others, each of these with its reason.

        Raises TableError when a picture cannot be fetched, Postponed when our disk is full; a
        kill leaves files in the folder, which the next check removes.
        """
        if not rows:
            return [], []
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        refused: list[tuple[Row, Trouble]] = []
        raw: list[RawRow] = []
        try:
            for line, row in enumerate(rows, start=1):
                values = await self._values(line, row)
                if isinstance(values, Trouble):
                    refused.append((row, values))
                else:
                    raw.append(RawRow(line=line, ordinal=line, values=tidy_cells(values)))
            root = self._handle.table.pictures_in or self._folder
            good, bad = await self._intake.check(raw, root, also_in=[self._folder])
        finally:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        refused += await self._reasons([(rows[each.line - 1], each) for each in bad])
        return [(rows[each.wanted.line - 1], each) for each in good], refused

    async def _reasons(self, bad: Sequence[tuple[Row, RefusedRow]]) -> list[tuple[Row, Trouble]]:
        """Return the rows with why they cannot run; a picture that floats above its cell is one."""
        lacking = self._lacking if any(self._lacking(row) for row, _ in bad) else None
        floating = await self._handle.table.floating() if lacking else {}
        told: list[tuple[Row, Trouble]] = []
        for row, refused in bad:
            over = self._lacking(row) & (floating.get(row.place) or floating.get("", frozenset()))
            if over:
                columns = tuple(self._handle.words.column(each) for each in sorted(over))
                why = Trouble(code="picture_floats", values={"column": columns})
            else:
                why = Trouble(code="row_refused", phrases={"reason": self._in_each(refused)})
            told.append((row, why))
        return told

    def _in_each(self, refused: RefusedRow) -> Phrase:
        """Return the reasons in every language; columns are called as the table does."""
        words = self._handle.words
        return {each: refused.text(words.into(each)) for each in LANGUAGES}

    def _lacking(self, row: Row) -> frozenset[str]:
        """Return the picture columns in which a row holds nothing."""
        return self._picture_columns() - set(row.files) - set(row.cells)

    async def _values(self, line: int, row: Row) -> dict[str, Json] | Trouble:
        """Return the row's cells as a job file would give them, or why it cannot run."""
        if (problem := self._handle.problem_of(row)) is not None:
            return problem
        values = inputs_of(row)
        if row.place.isdecimal():
            values.setdefault("row_number", int(row.place))
        if self._handle.settings.workflow_type:
            values.setdefault("workflow_type", self._handle.settings.workflow_type)
        for column in self._picture_columns():
            if column in row.files:
                try:
                    values[column] = str(await self._fetch(line, row, column))
                except Refused as error:
                    return error.trouble
            elif column in values and self._handle.table.pictures_in is None:
                named = self._handle.words.column(column)
                return Trouble(code="picture_is_text", values={"column": named})
        return values

    def _picture_columns(self) -> frozenset[str]:
        columns = (needs.picture_columns for needs in self._intake.needs.values())
        return frozenset().union(*columns)

    async def _fetch(self, line: int, row: Row, column: str) -> Path:
        file = row.files[column][0]
        name = PurePosixPath(file.name.replace("\\", "/").replace("\0", "")).name or "picture"
        into = self._folder / str(line) / column / name[-100:]
        try:
            await asyncio.to_thread(make_below, self._state_dir, into.parent)
            await self._handle.table.fetch(file, row, column, into)
        except OSError as error:
            raise Postponed(recorded("not_stored", why=str(error))) from error
        return into
