"""What each row of a table wants of us: to be taken, a command, a word to its maker, nothing."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from itertools import chain

import structlog

from daemon.clock import Clock
from daemon.concern import Concern
from daemon.intake.columns import WorkflowNeeds, known_columns
from daemon.intake.lost_rows import LostRows
from daemon.intake.row_cells import inputs_of, is_filled, status_text, unknown_status
from daemon.intake.wants import Wants
from daemon.tables.cells import Reading, Row
from daemon.tables.columns import Columns
from daemon.tables.copies import SECTION as COPIES
from daemon.tables.copies import Note, copied, noted
from daemon.tables.errors import Trouble
from daemon.tables.handle import TableHandle
from daemon.tables.outdated import outdated_among
from daemon.tables.overwritten import is_overwritten, overwritten_rows, says_less
from daemon.tables.status import ENDS, RowStatus, read_status
from daemon.words.headings import OUR_HEADINGS
from daemon.words.retelling import LEDGER, in_each_language
from ledger.batch import BatchStatus
from ledger.ledger import Ledger
from ledger.status import OPEN_STAGES, Stage
from ledger.task import Task

log = structlog.get_logger()

#: Rows looked at before the loop may go on; each may cost the reading of a finished task.
_SLICE = 200


class TableRows:
    """Sorts the rows of one table, and remembers those that it need not look at again."""

    def __init__(
        self, handle: TableHandle, ledger: Ledger, needs: Mapping[str, WorkflowNeeds], clock: Clock
    ) -> None:
        self._handle = handle
        self._table = handle.name
        self._workflow_type = handle.settings.workflow_type
        self._ledger = ledger
        self._index = ledger.index
        self._watched = known_columns(needs) - set(OUR_HEADINGS)
        self._marks: dict[str, str] = {}  # key → as it was when nothing was to be done
        self._edited: dict[str, None] = {}
        self._can_lose_ids = not handle.table.has_own_keys
        self.lost = LostRows(ledger, clock, inputs_of)
        self._damage: tuple[str, ...] = ()  # of the archive, where copies were told from rows
        self._told_damage: tuple[str, ...] = ()

    @property
    def edited(self) -> tuple[str, ...]:
        """The keys of the finished rows whose inputs are not those that they ran with."""
        return tuple(self._edited)

    @property
    def concerns(self) -> list[Concern]:
        """What of the archive cannot be read, and was needed to know a row again."""
        told = (in_each_language(each, LEDGER) for each in self._told_damage)
        return [Concern("concern.archive", {"table": self._table, "what": each}) for each in told]

    async def expect_taken(self, since: str) -> None:
        """Note which rows earlier processes took that must stand in the table.

        Those that it was not told of, those that run or were done after *since*, for somebody may
        have saved an older copy while no daemon ran, and those that a kill kept from getting their
        id back. One that failed and is there without its id is to run again.
        """
        if not self._can_lose_ids:
            return
        for note in overwritten_rows(self._index, self._table):
            self.lost.expect(note.key)
        untold = dict.fromkeys(self._index.unpublished(self._table))
        for number, task_id in enumerate(chain(untold, self._taken(since)), start=1):
            if number % _SLICE == 0:
                await asyncio.sleep(0)
            task = self._index.find_task(task_id)
            if task is None or task.metadata.table_row is None:
                continue
            if task_id in untold or (task.stage is Stage.DONE and task.updated_at >= since):
                self.lost.expect(task.metadata.table_row.key)

    def _taken(self, since: str) -> Iterator[str]:
        """Yield the ids of the table's tasks, but for batches that ended before *since*."""
        for batch_id in self._index.batches_of_table(self._table):
            batch = self._index.batch(batch_id)
            if batch.status is BatchStatus.RUNNING or batch.updated_at >= since:
                yield from self._index.task_ids(batch_id)

    async def sort(self, reading: Reading, being_claimed: Collection[str], at: str) -> Wants:
        """Return what the rows want; those whose claim is open want nothing.

        *at*: a moment before the reading. What was told since does not stand in it.
        """
        wants = Wants()
        alike = self._alike(reading)
        if self._can_lose_ids and reading.is_whole:
            await self.lost.look(alike)
        copies = await self._copies(alike, wants)
        seen: set[str] = set()
        new: list[Row] = []
        replaced: list[tuple[Row, Task]] = []
        earlier: list[Row] = []  # with an id that only a later run of theirs, now lost, tells of
        async for row in _in_turns(reading.rows):
            task_id = row.text("task_id")
            if task_id in being_claimed:
                continue
            if not task_id:
                new.append(row)
            elif row.place in copies:
                wants.reports.append(_copied(row))
            elif task_id in self.lost.earlier and self._index.find_task(task_id) is None:
                earlier.append(row)
            elif (task := self._sort_known(row, task_id, reading.columns, wants, at)) is not None:
                replaced.append((row, task))
            seen.add(task_id)
        self._sort_replaced(replaced, alike, earlier, wants)
        for row in new:  # last: what was lost may stand in a row with an earlier id
            self._sort_new(row, reading.columns, wants)
        if reading.is_whole:
            self._forget_all_but(seen)
        self._tell_damage()
        return wants

    def _forget_all_but(self, seen: Collection[str]) -> None:
        self._marks = {key: mark for key, mark in self._marks.items() if key in seen}
        self._edited = {key: None for key in self._edited if key in seen}

    def _tell_damage(self) -> None:
        """Keep what of the archive could not be read for who asks; what is new is logged, once."""
        known, found = self._told_damage, dict.fromkeys(self._damage + self.lost.damage)
        self._told_damage = tuple(found)
        if new := [each for each in found if each not in known]:
            log.warning("table.archive_damaged", table=self._table, damage=new)

    def _alike(self, reading: Reading) -> dict[str, list[Row]]:
        """Return the rows that bear an id, by id."""
        alike: dict[str, list[Row]] = {}
        for row in reading.rows:
            if task_id := row.text("task_id"):
                alike.setdefault(task_id, []).append(row)
        return alike

    async def _copies(self, alike: Mapping[str, Sequence[Row]], wants: Wants) -> set[str]:
        """Return the places of rows that are copies: of those with one 任务ID all but the row.

        Where rows have keys of their own they tell; else see ``Original``.
        """
        copies: set[str] = set()
        known = {note.key for note in noted(self._index.meta(COPIES), self._table)}
        doubtful = [key for key, rows in alike.items() if len(rows) > 1 or key in known]
        tasks = {key: self._index.find_task(key) for key in doubtful}
        if unknown := {key for key, task in tasks.items() if task is None}:
            found = await self._ledger.find_all_archived(unknown)
            tasks |= found.tasks
            self._damage = found.damage
        for task_id, task in tasks.items():
            row = self._row_among(task, alike[task_id], wants)
            copies |= {each.place for each in alike[task_id] if each is not row}
        wants.copies += [
            Note(table=self._table, key=key, seen=None).as_meta() for key in known - alike.keys()
        ]
        return copies

    def _row_among(self, task: Task | None, rows: Sequence[Row], wants: Wants) -> Row | None:
        """Return which of the rows that bear an id is the row, and want what was seen noted."""
        own = task.metadata.table_row if task else None
        ours = [row for row in rows if own is not None and row.key == own.key]
        if task is None or not ours or not self._can_lose_ids:
            return (ours or rows)[0]
        original = self._handle.original(task)
        row = original.among(ours)
        if (seen := original.seen_in(ours, row)) != original.seen:
            wants.copies.append(Note(table=self._table, key=task.task_id, seen=seen).as_meta())
        return row

    def _sort_new(self, row: Row, columns: Columns, wants: Wants) -> None:
        word = status_text(row, columns, self._workflow_type)
        status = read_status(word)
        if status is None:
            wants.reports.append((row, unknown_status(word)))
        elif status is not RowStatus.READY or not is_filled(row):
            return
        elif (problem := self._handle.problem_of(row)) is not None:
            wants.reports.append((row, problem))
        elif self._can_lose_ids and (task_id := self.lost.take_id_of(row)) is not None:
            wants.robbed.append((row, task_id))
        else:
            wants.ready.append(row)

    def _sort_replaced(
        self,
        replaced: Sequence[tuple[Row, Task]],
        standing: Collection[str],
        archived: Sequence[Row],
        wants: Wants,
    ) -> None:
        """Sort rows with the id of an earlier run: the row of a run that has none, else a copy.

        *archived*: those that only a later run tells of.
        """
        if self._can_lose_ids:
            wants.outdated = outdated_among(replaced, standing, self._index)
            found = {each.key for each in wants.outdated}
            later = self.lost.earlier.outdated_among(archived)
            wants.outdated += [each for each in later if each.key not in found]
        for each in wants.outdated:
            self.lost.forget(each.key)
        places = {each.row.place for each in wants.outdated}
        rows = [*(row for row, _ in replaced), *archived]
        wants.reports += [_copied(row) for row in rows if row.place not in places]

    def _sort_known(
        self, row: Row, task_id: str, columns: Columns, wants: Wants, at: str
    ) -> Task | None:
        """Sort a row that bears an id; returns its task when that was replaced by a later run."""
        if self._marks.get(task_id) == row.mark:
            return None
        task = self._index.find_task(task_id)
        ready = read_status(status_text(row, columns, self._workflow_type)) is RowStatus.READY
        if task is None or (own := task.metadata.table_row) is None or own.table != self._table:
            if row.text("command"):
                wants.commands.append((row, None))
            elif ready and is_filled(row):
                wants.reports.append((row, Trouble(code="unknown_id", values={"task": task_id})))
            return None
        if own.replaced_by is not None:
            return task
        if row.key != own.key:
            wants.reports.append(_copied(row))
        elif row.text("command"):
            self._marks.pop(task_id, None)  # a copy of the row as it was may be left with the id
            wants.commands.append((row, task))
        else:
            self._sort_ours(row, task, columns, wants, at)
        return None

    def _sort_ours(self, row: Row, task: Task, columns: Columns, wants: Wants, at: str) -> None:
        """Sort a row of ours that bears no command."""
        newest = self._newest(task)
        status = read_status(status_text(row, columns, self._workflow_type))
        if any(each.stage in OPEN_STAGES for each in newest):
            return  # looked at each time: an older copy may take its end away before we see that
        if not all(each.publish.is_settled and each.updated_at < at for each in newest):
            return  # the table does not know yet, or did not when it was read
        if says_less(row, status, columns, newest):
            if not is_overwritten(self._index, self._table, row.text("task_id")):
                wants.overwritten.append((row, task))
        elif status is RowStatus.READY:
            wants.reports.append((row, Trouble(code="status_reset")))
        else:
            self.leave(row)
            self._note_edited(row, row.text("task_id"), task)

    def _newest(self, task: Task) -> list[Task]:
        """Return the newest task of each stage of the row that *task* was made for."""
        row = task.metadata.table_row
        types = row.workflow_types if row else ()
        newest = (self._index.newest_of_family(task.row_id, name) for name in types)
        return [each for each in newest if each is not None] or [task]

    def is_at_end(self, row: Row, columns: Columns) -> bool:
        """Say whether a row shows an end, and so does not wait to be run."""
        return read_status(status_text(row, columns, self._workflow_type)) in ENDS

    def leave(self, row: Row) -> None:
        """Note that nothing is to be done for a row as it stands now."""
        self._marks[row.text("task_id")] = row.mark

    def _note_edited(self, row: Row, key: str, task: Task) -> None:
        if self._is_unedited(row, task):
            self._edited.pop(key, None)
        else:
            self._edited[key] = None

    def _is_unedited(self, row: Row, task: Task) -> bool:
        before, now = task.metadata.feishu_row_data, inputs_of(row)
        return all(before.get(column) == now.get(column) for column in self._watched)


async def _in_turns(rows: Sequence[Row]) -> AsyncIterator[Row]:
    for number, row in enumerate(rows, start=1):
        if number % _SLICE == 0:
            await asyncio.sleep(0)
        yield row


def _copied(row: Row) -> tuple[Row, Trouble]:
    """Return the report of a row that bears another one's id."""
    return row, copied(row.text("task_id"))
