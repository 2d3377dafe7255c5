"""What a table shows against what the ledger knows: every cell that differs is put right."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from daemon.clock import Clock
from daemon.publish.row_news import RowNews
from daemon.publish.uploading import Uploads
from daemon.tables.cells import Change, Outcome, Reading, Result, Row
from daemon.tables.columns import Columns
from daemon.tables.handle import TableHandle
from daemon.tables.outdated import Outdated, outdated_among, renew
from daemon.words.headings import OUR_HEADINGS
from ledger.errors import Conflict
from ledger.ledger import Ledger
from ledger.status import OPEN_STAGES
from ledger.task import Task
from ledger.timestamps import to_timestamp

#: Rows put right by one write, and tasks looked through before the loop goes on.
PORTION = 500


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A cell that did not say what the ledger knows."""

    row: str  # the key, as in 任务ID
    column: str  # as the table calls it
    was: str
    now: str


class Reconciled(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in one table, and put right."""

    table: str
    rows: int  # of ours that stand in it
    gone: list[str]  # rows of ours that it lacks
    refused: dict[str, str]  # rows that could not be put right, and why
    differences: list[Difference]


class Reconciliation:
    """Puts one table right; may be run at any time, and again after any kill."""

    def __init__(
        self,
        handle: TableHandle,
        ledger: Ledger,
        absolute: Callable[[str], Path],
        clock: Clock,
    ) -> None:
        """*absolute*: where a recorded path lies."""
        self._handle = handle
        self._ledger = ledger
        self._clock = clock
        self._news = RowNews(ledger, handle, absolute)
        self._uploads = Uploads(handle, ledger, self._news, clock)

    async def run(self) -> Reconciled:
        """Write what the ledger knows into every row of ours; returns what that changed.

        Raises TableError; what was written until then stays.
        """
        ours = await self._ours()
        async with self._handle.writing:
            before, renamed = await self._with_latest_ids()
            self._handle.learn(before.columns)
            known = await self._rows_of(ours, before)
            outcomes: dict[str, Outcome] = {}
            keys = [key for key in ours if key in known]
            for first in range(0, len(keys), PORTION):
                outcomes |= await self._write({key: ours[key] for key in keys[first:][:PORTION]})
            after = await self._handle.table.read_all()
            there = await self._rows_of(ours, after)
        await self._note({key: ours[key] for key in keys}, outcomes)
        words = self._handle.words
        return Reconciled(
            table=self._handle.name,
            rows=len(keys),
            gone=[key for key in ours if key not in known],
            refused={
                key: outcome.trouble.text(words)
                for key, outcome in outcomes.items()
                if outcome.trouble is not None
            },
            differences=renamed
            + [
                each
                for key, outcome in outcomes.items()
                if outcome.result is Result.WRITTEN and key in there
                for each in _differences(known[key], there[key], after.columns)
            ],
        )

    async def _ours(self) -> dict[str, list[Task]]:
        """Return the newest tasks of each row of the table, in the order of their acceptance."""
        rows: dict[str, Task] = {}
        for number, task in enumerate(self._ledger.tasks(), start=1):
            if number % PORTION == 0:
                await asyncio.sleep(0)
            row = task.metadata.table_row
            if row is None or row.table != self._handle.name:
                continue
            if row.replaced_by is None:
                rows[row.key] = task  # of several runs of a row the last counts
        types = {key: task.metadata.table_row for key, task in rows.items()}
        return {
            key: self._news.tasks(rows[key].row_id, row.workflow_types)
            for key, row in types.items()
            if row is not None
        }

    async def _with_latest_ids(self) -> tuple[Reading, list[Difference]]:
        """Return the table once no row in it bears the id of an earlier run of it."""
        reading = await self._handle.table.read_all()
        outdated = await self._outdated(reading)
        if not outdated:
            return reading, []
        await renew(outdated, self._handle, self._ledger)
        heading = reading.columns.headings["task_id"]
        renamed = [
            Difference(row=each.key, column=heading, was=each.row.text("task_id"), now=each.key)
            for each in outdated
        ]
        return await self._handle.table.read_all(), renamed

    async def _outdated(self, reading: Reading) -> list[Outdated]:
        """Return the rows with the id of an earlier run whose latest one has no row."""
        if self._handle.table.has_own_keys:
            return []
        bearing: dict[str, list[Row]] = {}
        for row in reading.rows:
            if row.key is not None:
                bearing.setdefault(row.key, []).append(row)
        replaced: list[tuple[Row, Task]] = []
        for number, (key, rows) in enumerate(bearing.items(), start=1):
            if number % PORTION == 0:
                await asyncio.sleep(0)
            task = self._ledger.index.find_task(key)
            place = task.metadata.table_row if task else None
            if task is None or place is None or place.replaced_by is None:
                continue
            own = self._handle.original(task).among(rows)
            if own is not None and place.table == self._handle.name:
                replaced.append((own, task))
        return outdated_among(replaced, bearing, self._ledger.index)

    async def _rows_of(
        self, ours: Mapping[str, Sequence[Task]], reading: Reading
    ) -> dict[str, Row]:
        """Return, by key, the rows of *reading* that are ours; copies are nobody's."""
        bearing: dict[str, list[Row]] = {}
        for row in reading.rows:
            if row.key is not None and row.key in ours:
                bearing.setdefault(row.key, []).append(row)
        found: dict[str, Row] = {}
        for number, (key, rows) in enumerate(bearing.items(), start=1):
            if number % PORTION == 0:
                await asyncio.sleep(0)
            own = self._handle.original(ours[key][0]).among(rows)
            if own is not None:
                found[key] = own
        return found

    async def _write(self, rows: dict[str, list[Task]]) -> dict[str, Outcome]:
        """Write the rows; files that the document does not know go up anew first, once."""
        outcomes = await self._written(rows)
        again = await self._uploads.give_up_unknown(rows, outcomes, actor=self._handle.actor)
        if again:
            outcomes |= await self._written({key: self._as_it_is(rows[key]) for key in again})
        return outcomes

    async def _written(self, rows: dict[str, list[Task]]) -> dict[str, Outcome]:
        if self._handle.table.takes_files:
            async with self._handle.uploading:
                rows = {key: await self._uploaded(key, tasks) for key, tasks in rows.items()}
        changes = [
            Change(
                row=key,
                cells=self._news.cells(own),
                among=self._handle.original(own[0]).among,
            )
            for key, own in rows.items()
        ]
        found = await self._handle.table.write(changes)
        return dict(zip(rows, found, strict=True))

    async def _uploaded(self, key: str, tasks: list[Task]) -> list[Task]:
        await self._uploads.put_row(key, tasks, self._handle.actor)
        return self._as_it_is(tasks)

    def _as_it_is(self, tasks: Sequence[Task]) -> list[Task]:
        return [self._ledger.task(task.task_id) for task in tasks]

    async def _note(self, rows: dict[str, list[Task]], outcomes: dict[str, Outcome]) -> None:
        """Mark as told what the table could not be told before."""
        at = to_timestamp(self._clock.now())
        for key, tasks in rows.items():
            if outcomes[key].result is not Result.WRITTEN:
                continue
            for each in tasks:
                task = self._ledger.task(each.task_id)
                told = task.publish.state in ("published", "none")
                if (
                    (told and not task.publish.uploaded_anew)
                    or task.stage in OPEN_STAGES
                    or task.stage is not each.stage
                ):
                    continue
                publish = msgspec.structs.replace(
                    task.publish, state="published", error=None, uploaded_anew=()
                )
                try:
                    await self._ledger.commit(
                        task.changed(at=at, publish=publish),
                        op="task.published",
                        actor=self._handle.actor,
                    )
                except Conflict:
                    continue  # whoever changed it has the outbox tell it


def _differences(before: Row, after: Row, columns: Columns) -> Iterator[Difference]:
    """Yield what a row says otherwise in the cells that we write; others are people's."""
    for key in (key for key in columns.found if key.rstrip("0123456789") in _written(columns)):
        was, now = _shown(before, key), _shown(after, key)
        if was != now:
            heading = columns.headings[key]
            yield Difference(row=after.key or "", column=heading, was=was, now=now)


def _written(columns: Columns) -> set[str]:
    """Return the keys of our columns; further pictures lie under 输出图片2 and so on."""
    return {*OUR_HEADINGS, columns.headings.get("output_image", "")} - {"task_id", "command", ""}


def _shown(row: Row, key: str) -> str:
    return ", ".join(file.name for file in row.files.get(key, ())) or row.text(key)
