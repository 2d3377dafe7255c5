"""Goes through the journals from the first line kept and sees to it that each change is lawful."""

from collections.abc import Iterator, Sequence

import msgspec

from ledger.entry import ARCHIVED
from ledger.jsondir.journal import Line
from ledger.jsondir.loading import covers
from ledger.state import State
from ledger.status import MOVES, OPEN_STAGES, STATUS_OF, Stage, Status


class _Seen(msgspec.Struct, frozen=True, gc=False):
    """What a change is judged by."""

    task_id: str
    row_id: str
    workflow_type: str
    stage: Stage
    status: Status
    version: int

    @property
    def family(self) -> tuple[str, str]:
        return (self.row_id, self.workflow_type)


class _SeenBatch(msgspec.Struct, frozen=True, gc=False):
    batch_id: str
    version: int


_tasks = msgspec.json.Decoder(_Seen)
_batches = msgspec.json.Decoder(_SeenBatch)


class Replay:
    """The versions and stages as of the newest transaction added."""

    def __init__(self, known_losses: Sequence[tuple[int, int]]) -> None:
        self.problems: list[str] = []
        self._losses = known_losses
        self._last_seq: int | None = None
        self._from_the_first = False  # what is unknown is new, not from before the history kept
        self._tasks: dict[str, _Seen] = {}
        self._batches: dict[str, int] = {}
        self._open: dict[tuple[str, str], str] = {}

    def lose_track(self) -> None:
        """Take records at any version from here on: a journal could not be read."""
        self._last_seq, self._from_the_first = None, False
        self._tasks.clear()
        self._batches.clear()
        self._open.clear()

    def add(self, lines: Sequence[Line]) -> None:
        """Judge a transaction and take it in."""
        self._check_seq(lines[0].seq)
        self._last_seq = lines[-1].seq
        for line in lines:
            if line.task is not None:
                self._add_task(line.seq, _tasks.decode(line.task))
            elif line.batch is not None:
                self._add_batch(line.seq, _batches.decode(line.batch))
            elif line.meta is not None and line.meta.section == ARCHIVED:
                self._tasks.pop(line.meta.key, None)

    def _check_seq(self, first: int) -> None:
        if self._last_seq is None:
            self._from_the_first = first == 1
        elif first != self._last_seq + 1:
            gap = (self._last_seq + 1, first - 1)
            if not covers(self._losses, gap):
                self.problems.append(f"changes {gap[0]} to {gap[1]} are missing")
            self.lose_track()

    def _add_task(self, seq: int, task: _Seen) -> None:
        known = self._tasks.get(task.task_id)
        what = f"change {seq} of task {task.task_id}"
        if known is None:
            self._check_first(what, task.version)
        else:
            if task.version != known.version + 1:
                self.problems.append(
                    f"{what}: version {task.version} does not follow {known.version}"
                )
            if task.stage is not known.stage and task.stage not in MOVES[known.stage]:
                self.problems.append(f"{what}: {known.stage} may not become {task.stage}")
        if task.status is not STATUS_OF[task.stage]:
            self.problems.append(f"{what}: status {task.status} does not fit {task.stage}")
        self._check_family(what, task)
        self._tasks[task.task_id] = task

    def _check_family(self, what: str, task: _Seen) -> None:
        other = self._open.get(task.family)
        if task.stage in OPEN_STAGES:
            if other not in (None, task.task_id):
                self.problems.append(f"{what}: {other} of the same row and type is open")
            self._open[task.family] = task.task_id
        elif other == task.task_id:
            del self._open[task.family]

    def _add_batch(self, seq: int, batch: _SeenBatch) -> None:
        what = f"change {seq} of batch {batch.batch_id}"
        known = self._batches.get(batch.batch_id)
        if known is None:
            self._check_first(what, batch.version)
        elif batch.version != known + 1:
            self.problems.append(f"{what}: version {batch.version} does not follow {known}")
        self._batches[batch.batch_id] = batch.version

    def _check_first(self, what: str, version: int) -> None:
        if version != 1 and self._from_the_first:
            self.problems.append(f"{what}: its earlier versions are missing")

    def differences(self, state: State) -> Iterator[str]:
        """Yield where *state* (snapshot and tail) says otherwise than the journals.

        Nothing when *state* is of another moment: a daemon is at work.
        """
        if self._last_seq != state.last_seq:
            return
        for task_id, seen in self._tasks.items():
            task = state.tasks.get(task_id)
            if task is None:
                yield f"task {task_id} is in the journal but not in the state"
            elif (task.version, task.stage) != (seen.version, seen.stage):
                yield f"task {task_id} stands otherwise in the state than in the journal"
        for batch_id, version in self._batches.items():
            batch = state.batches.get(batch_id)
            if batch is None or batch.version != version:
                yield f"batch {batch_id} stands otherwise in the state than in the journal"
