"""Which row each server gets next, against a plain list of rows that is sorted anew each time.

Rows come, change their place, are cancelled, retried by hand and given back; batches are paused and
go on; servers cannot run some rows, or learn to; now and then the process starts anew.
"""

import asyncio
from datetime import timedelta
from random import Random

import pytest

from daemon.dispatch.ready import AFFINITY_STREAK, CHOICE_ROWS, ReadyRows
from daemon.settle.gpu_memory import given_up_by, wanted_server
from ledger.batch import Batch, BatchStatus
from ledger.entry import Transaction
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.status import OPEN_STAGES, Stage
from ledger.task import Dependency, Metadata, Task
from ledger.timestamps import to_timestamp
from tests.fakes.clock import FakeClock
from tests.fakes.records import batch_record, task_record

PICTURE, VIDEO = "图片合成", "图生视频"
SERVERS = ("gpu-a", "gpu-b")
DONE = (Stage.SUBMITTING, Stage.QUEUED, Stage.COLLECTING, Stage.DONE)
STEPS = 400


class Line:
    """The waiting rows of one priority, and at which turn each must have gone."""

    def __init__(self) -> None:
        self.gone = 0
        self.latest: dict[str, int] = {}


class Model:
    """All waiting rows in a list; every answer is found by sorting it."""

    def __init__(self, ledger: Ledger, clock: FakeClock, *, stage_order: bool) -> None:
        self.ledger, self.clock, self.stage_order = ledger, clock, stage_order
        self.excluded: dict[str, set[str]] = {}
        self.taken: dict[str, None] = {}
        self.lines: dict[int, Line] = {}
        self.line_of: dict[str, int] = {}
        for task in ledger.in_stage(Stage.WAITING):
            self.see(task)

    def follow(self, transaction: Transaction) -> None:
        for record in transaction.records:
            if isinstance(record, Task):
                self.see(record)

    def see(self, task: Task) -> None:
        if task.stage is not Stage.WAITING:
            self._leave(task.task_id)
        elif task.task_id not in self.taken and self.line_of.get(task.task_id) != task.priority:
            self._leave(task.task_id)
            self.line_of[task.task_id] = task.priority
            line = self.lines.setdefault(task.priority, Line())
            line.latest[task.task_id] = line.gone + 2 * (len(line.latest) + 1)

    def _leave(self, task_id: str) -> None:
        if (priority := self.line_of.pop(task_id, None)) is not None:
            del self.lines[priority].latest[task_id]
            if not self.lines[priority].latest:
                del self.lines[priority]

    def kind(self, task: Task) -> tuple[str, frozenset[str], str | None]:
        cannot = self.excluded.get(task.task_id, frozenset()) | given_up_by(task.metadata)
        return task.workflow_type, frozenset(cannot), wanted_server(task)

    def queue(self, task: Task) -> tuple[object, ...]:
        retried_at = task.created_at if task.retried_from else None
        return task.batch_id, self.kind(task), task.row_stage, retried_at

    def rank(self, task: Task) -> tuple[int, str, int, str]:
        ordinal = int(task.row_id.rpartition(":")[2])
        return -task.priority, task.created_at, ordinal, task.task_id

    def latest(self, task: Task) -> int:
        return self.lines[task.priority].latest[task.task_id]

    def ready(self) -> list[Task]:
        return [*filter(self.is_ready, self.ledger.in_stage(Stage.WAITING))]

    def is_ready(self, task: Task) -> bool:
        if task.task_id in self.taken:
            return False
        if (needed := task.depends_on) is not None:
            done = self.ledger.newest_done_of_family(needed.row_id, needed.workflow_type)
            if done is None:
                return False
        return task.not_before is None or task.not_before <= to_timestamp(self.clock.now())

    def has_turn(self, task: Task) -> bool:
        batch = self.ledger.batch(task.batch_id)
        runs = batch.status is BatchStatus.RUNNING
        if task.retried_from is not None:
            return batch.halted_at is None or task.created_at >= batch.halted_at or runs
        if self.stage_order and task.row_stage > 1:
            of_batch = [t for t in self.ledger.tasks(batch.batch_id) if t.row_stage == 1]
            newest = {t.family: t for t in of_batch}.values()
            if any(t.stage in OPEN_STAGES for t in newest):
                return False
        return runs

    def may_run(self, task: Task, server: str, working: set[str]) -> bool:
        _, cannot, wanted = self.kind(task)
        return server not in cannot and (wanted in (None, server) or wanted not in working)

    def next(
        self, server: str, working: set[str], last_type: str | None, streak: int
    ) -> Task | None:
        queues: dict[object, Task] = {}
        for task in sorted(self.ready(), key=self.rank):
            queues.setdefault(self.queue(task), task)
        heads = [
            t for t in queues.values() if self.has_turn(t) and self.may_run(t, server, working)
        ]
        if not heads:
            return None
        heads = [task for task in heads if task.priority == heads[0].priority]
        if streak < AFFINITY_STREAK:
            gone = self.lines[heads[0].priority].gone
            due: dict[object, Task] = {}
            for task in sorted(heads, key=self.latest):  # of two alike the older one stays first
                due.setdefault(self.kind(task), task)
            late = [task for task in due.values() if self.latest(task) <= gone + 1]
            alike = [task for task in heads if task.workflow_type == last_type]
            heads = late or alike or heads
        return min(heads, key=self.rank)

    def take(self, task: Task) -> None:
        self.taken[task.task_id] = None
        self.lines[self.line_of[task.task_id]].gone += 1

    def give_back(self, task_id: str) -> None:
        del self.taken[task_id]
        self.see(self.ledger.task(task_id))


class Life:
    """What happens to rows; the model is told of it as the program is."""

    def __init__(self, order: Random, *, choice_rows: int = CHOICE_ROWS) -> None:
        self.order = order
        self.choice_rows = choice_rows
        self.stage_order = order.random() < 0.5
        self.clock = FakeClock()
        self.ledger = Ledger(MemoryBackend())
        self.working = set(SERVERS)
        self.news = asyncio.Event()
        self.batches, self.rows, self.got = 0, 0, 0
        self.last: tuple[str | None, int] = None, 0

    async def start(self) -> None:
        self.ready = ReadyRows(
            self.ledger,
            self.clock,
            stage_order=self.stage_order,
            takes_work=lambda server: server in self.working,
            choice_rows=self.choice_rows,
        )
        self.ready.grown = self.news.set
        await self.ready.load()
        self.model = Model(self.ledger, self.clock, stage_order=self.stage_order)
        following = (self.ready.follow, self.model.follow)
        self.unsubscribe = [self.ledger.subscribe(each) for each in following]

    def at(self) -> str:
        return to_timestamp(self.clock.now())

    # -- what may happen -------------------------------------------------------------------------

    async def accept(self) -> None:
        """Take in a batch of one row or more, or a row more of a batch that is there."""
        if self.batches < 3 or self.order.random() < 0.6:
            self.batches += 1
            count = self.order.choice((1, 1, 1, 4))
            await self.commit(self.batch(self.batches), *self.new_rows(self.batches, count))
        else:
            await self.commit(*self.new_rows(self.order.randint(1, self.batches), 1))

    def batch(self, number: int) -> Batch:
        return batch_record(f"job-{number}")

    def new_rows(self, batch: int, count: int) -> list[Task]:
        tasks: list[Task] = []
        for _ in range(count):
            kinds = self.order.choice(((PICTURE,), (PICTURE,), (VIDEO,), (PICTURE, VIDEO)))
            self.rows += 1
            row_id = f"job-{batch}:{self.rows}"
            needs = Dependency(row_id=row_id, workflow_type=PICTURE)
            tasks += [
                self.task(row_id, kind, depends_on=needs if kind != kinds[0] else None)
                for kind in kinds
            ]
        return tasks

    def task(self, row_id: str, kind: str, **fields: object) -> Task:
        (task_id,) = self.ledger.new_task_ids(kind, self.at())
        ran_out = self.order.choice(((), (), (), ("gpu-a",), ("gpu-b", "gpu-b")))
        later = to_timestamp(self.clock.now() + timedelta(seconds=30))
        values: dict[str, object] = {
            "task_id": task_id,
            "root_task_id": task_id,
            "row_id": row_id,
            "batch_id": row_id.rpartition(":")[0],
            "workflow_type": kind,
            "created_at": self.at(),
            "priority": self.order.choice((0, 0, 0, 1)),
            "metadata": Metadata(ran_out_on=ran_out),
            "not_before": self.order.choice((None, None, None, later)),
        }
        return task_record(**(values | fields))

    async def take(self) -> None:
        """Have a server ask for its next row, which is what the plain list says."""
        server = self.order.choice(SERVERS)
        expected = self.model.next(server, self.working, *self.last)
        taken = self.asked(server)
        ready = {task.batch_id for task in self.model.ready() if task != taken}
        if self.choice_rows == CHOICE_ROWS:
            assert taken == expected
            assert {*self.ready.batch_ids()} == ready
        else:
            self.assert_as_good(server, taken, expected)
            assert {*self.ready.batch_ids()} >= ready
        if taken is not None:
            self.got += 1
            same = taken.workflow_type == self.last[0]
            self.last = taken.workflow_type, self.last[1] + 1 if same else 1
            self.model.take(taken)

    def asked(self, server: str) -> Task | None:
        """Return the server's next row; as long as there is news it asks again, as a lane does."""
        self.news.set()
        taken: Task | None = None
        while taken is None and self.news.is_set():
            self.news.clear()
            taken = self.ready.take(server, *self.last, self.runs)
        return taken

    def assert_as_good(self, server: str, taken: Task | None, expected: Task | None) -> None:
        """Find that a choice among few rows is one that may run, and as urgent as among all."""
        if taken is None or expected is None:
            assert taken is expected
            return
        assert taken.priority == expected.priority
        assert self.model.is_ready(taken)
        assert self.model.has_turn(taken)
        assert self.model.may_run(taken, server, self.working)

    def runs(self, batch_id: str) -> bool:
        return self.ledger.batch(batch_id).status is BatchStatus.RUNNING

    async def let_go(self) -> None:
        """Give a taken row back: submitted, as it was, or as one the server cannot run."""
        if not self.model.taken:
            return
        task = self.ledger.task(self.order.choice(list(self.model.taken)))
        match self.order.choice(("submitted", "submitted", "as it was", "excluded")):
            case "submitted" if task.stage is Stage.WAITING:
                await self.commit(task.moved(Stage.SUBMITTING, at=self.at(), server="gpu-a"))
            case "excluded":
                server = self.order.choice(SERVERS)
                self.ready.exclude(task, server, "missing_node", "no Sampler")
                self.model.excluded.setdefault(task.task_id, set()).add(server)
        self.ready.give_back(task.task_id)
        self.model.give_back(task.task_id)

    async def end(self) -> None:
        """Bring a row to its end; one that did not begin is cancelled."""
        if task := self.some(*OPEN_STAGES):
            path = DONE[DONE.index(task.stage) + 1 :] if task.stage in DONE else (Stage.CANCELLED,)
            for stage in path:
                await self.commit(self.ledger.task(task.task_id).moved(stage, at=self.at()))
            self.model.excluded.pop(task.task_id, None)

    def some(self, *stages: Stage) -> Task | None:
        found = self.ledger.in_stage(*stages)
        return self.order.choice(found) if found else None

    async def put_first(self) -> None:
        if task := self.some(Stage.WAITING):
            await self.commit(task.changed(at=self.at(), priority=self.order.randrange(4)))

    async def retry(self) -> None:
        ended = [t for t in self.ledger.tasks() if t.stage is Stage.CANCELLED]
        if ended:
            task = self.order.choice(ended)
            if self.ledger.newest_of_family(*task.family) == task:
                again = self.task(
                    task.row_id,
                    task.workflow_type,
                    depends_on=task.depends_on,
                    retried_from=task.task_id,
                )
                await self.commit(again)

    async def halt_or_go_on(self) -> None:
        if batches := [*self.ledger.batches()]:
            batch = self.order.choice(batches)
            runs = batch.status is BatchStatus.RUNNING
            status = BatchStatus.PAUSED if runs else BatchStatus.RUNNING
            halted_at = self.at() if runs else None
            await self.commit(batch.changed(at=self.at(), status=status, halted_at=halted_at))

    async def learn(self) -> None:
        server = self.order.choice(SERVERS)
        for servers in self.model.excluded.values():
            servers.discard(server)
        await self.ready.readmit(server)

    async def come_or_go(self) -> None:
        self.working ^= {self.order.choice(SERVERS)}

    async def wait(self) -> None:
        self.clock.advance(self.order.choice((0.001, 20)))

    async def start_anew(self) -> None:
        for unsubscribe in self.unsubscribe:
            unsubscribe()
        await self.start()

    async def commit(self, *records: Batch | Task) -> None:
        await self.ledger.commit(*records, op="a.b")


@pytest.mark.parametrize("seed", range(12))
async def test_each_server_gets_the_row_that_comes_first_in_a_plain_list(seed: int) -> None:
    assert await _live(Life(Random(seed))) > 30


@pytest.mark.parametrize("seed", range(12))
async def test_a_choice_among_few_rows_finds_one_as_urgent_as_among_all(seed: int) -> None:
    assert await _live(Life(Random(seed), choice_rows=seed % 4 + 1)) > 30


async def _live(life: Life) -> int:
    """Live it, each row that is taken held against the model's; return how many were."""
    await life.ledger.open()
    await life.start()
    often = [life.accept, *[life.take] * 4, *[life.let_go] * 3, life.end, life.wait]
    seldom = [life.put_first, life.retry, life.halt_or_go_on, life.learn, life.come_or_go]
    for _ in range(4):
        for _ in range(STEPS // 4):
            await life.order.choice([*often, *often, *seldom])()
        await life.start_anew()
    return life.got
