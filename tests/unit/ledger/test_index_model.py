"""All that can be asked of the index, against a plain list of records.

Rows come, move, wait in another order, are blocked, told of and archived, batches come and change,
while a snapshot is held back as long as it may be; in between somebody writes over it, and the
ledger is stopped, or killed and loaded as it lay there.
"""

import asyncio
import hashlib
import re
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import msgspec
import pytest

from ledger import ledger as archiving_ledger
from ledger import slices
from ledger.batch import Batch, BatchStatus
from ledger.jsondir.check import verify
from ledger.jsondir.files import Disk
from ledger.jsondir.orders import Limits
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from ledger.status import IN_PROCESS_STAGES, MOVES, OPEN_STAGES, Stage
from ledger.task import Dependency, Metadata, Publish, Source, TableRow, Task
from tests.fakes.records import batch_record, task_record

PICTURE, VIDEO = "图片合成", "图生视频"
TYPES, BATCHES, SERVERS = (PICTURE, VIDEO), ("spring", "summer", "winter"), ("gpu-a", "gpu-b")
#: What ended at the first of these is archived, what ended at the second stays.
OLD, YOUNG = "2026-10-01T00:00:00.000Z", "2026-11-21T10:00:00.000Z"
NOW = datetime(2026, 11, 21, tzinfo=UTC)
STEPS = 150


class HeldBack(Disk):
    """Holds a snapshot that is written but has no name yet, for as long as a test wants."""

    def __init__(self) -> None:
        super().__init__(self._passed)
        self.written = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def _passed(self, place: str) -> None:
        if place == "snapshot.before_rename":
            self.written.set()
            assert self.may_go_on.wait(20)

    def sync(self, fd: int) -> None:
        """Nobody cuts the power here."""

    def sync_folder(self, folder: Path) -> None:
        """Likewise."""


class Model:
    """Records in the order of their acceptance; every answer is found by looking at all."""

    def __init__(self) -> None:
        self.batches: dict[str, Batch] = {}
        self.tasks: dict[str, Task] = {}
        self.archived: dict[str, Task] = {}

    def those(self, fits: Callable[[Task], object]) -> list[Task]:
        return [task for task in self.tasks.values() if fits(task)]

    def newest(self, batch_id: str | None = None) -> list[Task]:
        newest = {task.family: task for task in self.tasks.values()}
        return [task for task in newest.values() if batch_id in (None, task.batch_id)]

    def waiting(self, batch_id: str, kind: str) -> list[Task]:
        wait = self.those(lambda task: task.stage is Stage.WAITING and task.batch_id == batch_id)
        return sorted((t for t in wait if t.workflow_type == kind), key=lambda t: -t.priority)

    def archive(self) -> None:
        """Move the rows that are old enough, as ``rows_to_archive`` says."""

        def is_settled(task: Task) -> bool:
            return task.publish.is_settled and task.finished_at == OLD

        needed = {
            task.depends_on.row_id
            for task in self.tasks.values()
            if task.stage in OPEN_STAGES and task.depends_on
        }
        stay = {task.row_id for task in self.tasks.values() if not is_settled(task)} | needed
        for task in self.those(lambda task: task.row_id not in stay):
            self.archived[task.task_id] = self.tasks.pop(task.task_id)


class Life:
    """What a ledger lives through; the model lives through the same."""

    def __init__(self, root: Path, order: Random) -> None:
        self.root, self.order = root, order
        self.lives = 0
        self.rows: Counter[str] = Counter()  # by batch
        self.model = Model()
        self.compaction: asyncio.Future[None] | None = None

    @property
    def folder(self) -> Path:
        return self.root / f"ledger-{self.lives}"

    async def begin(self) -> None:
        self.disk = HeldBack()
        limits = Limits(
            snapshot_seconds=3600, journal_bytes=20_000, unfolded_bytes=20_000, quiet_seconds=0
        )
        backend = JsonDirBackend(self.folder, disk=self.disk, limits=limits)
        self.ledger = Ledger(backend)
        await self.ledger.open()

    async def commit(self, *tasks: Task) -> None:
        await self.ledger.commit(*tasks, op="a.b")
        self.model.tasks |= {task.task_id: task for task in tasks}

    async def commit_batches(self, *batches: Batch) -> None:
        await self.ledger.commit(*batches, op="a.b")
        self.model.batches |= {batch.batch_id: batch for batch in batches}

    # -- what may happen -------------------------------------------------------------------------

    async def accept(self) -> None:
        """Take in rows: of a picture, of a video, or of a video that needs the picture."""
        tasks: list[Task] = []
        for _ in range(self.order.choice((1, 1, 3, 20))):
            batch_id = self.order.choice(BATCHES)
            self.rows[batch_id] += 1
            kinds = self.order.choice(((PICTURE,), (VIDEO,), TYPES))
            tasks += [self.new_task(batch_id, kind, kinds) for kind in kinds]
        await self.commit(*tasks)

    def new_task(self, batch_id: str, kind: str, kinds: tuple[str, ...]) -> Task:
        (task_id,) = self.ledger.new_task_ids(kind, YOUNG)
        row_id = f"{batch_id}:{self.rows[batch_id]}"
        fingerprint = hashlib.sha256(row_id.encode()).hexdigest()
        is_of_table = self.order.random() < 0.3
        row = TableRow(table="orders", key=row_id, workflow_types=kinds) if is_of_table else None
        source = Source(kind="inbox", name="spring.csv", fingerprint=fingerprint)
        return task_record(
            task_id=task_id,
            root_task_id=task_id,
            row_id=row_id,
            batch_id=batch_id,
            workflow_type=kind,
            depends_on=Dependency(row_id=row_id, workflow_type=PICTURE)
            if kind != kinds[0]
            else None,
            priority=self.order.choice((0, 0, 0, 5)),
            publish=Publish(state="pending") if is_of_table else Publish(),
            metadata=Metadata(source=source, table_row=row),
        )

    async def move(self) -> None:
        tasks = self.some(lambda task: task.stage in OPEN_STAGES)
        await self.change(tasks, self.moved)

    def moved(self, task: Task) -> Task:
        at = self.order.choice((OLD, OLD, YOUNG))
        stage = self.order.choice(sorted(MOVES[task.stage]))
        server = self.order.choice(SERVERS) if stage in IN_PROCESS_STAGES else None
        return task.moved(stage, at=at, server=server, blocked_by=None)

    async def stay(self) -> None:
        """Change what leaves a task in its stage: its place in line, its block, its outbox."""
        await self.change(self.some(lambda _: True), self.changed)

    def changed(self, task: Task) -> Task:
        publish = Publish(state="done") if task.metadata.table_row else task.publish
        if task.stage is not Stage.WAITING:
            server = self.order.choice((task.server, *SERVERS))
            return task.changed(at=YOUNG, server=server, publish=publish)
        blocked_by = self.order.choice((None, None, "its picture failed"))
        priority = self.order.randrange(4)
        return task.changed(at=YOUNG, priority=priority, blocked_by=blocked_by, publish=publish)

    async def change(self, tasks: list[Task], how: Callable[[Task], Task]) -> None:
        if tasks:
            await self.commit(*map(how, tasks))

    def some(self, fits: Callable[[Task], object]) -> list[Task]:
        found = self.model.those(fits)
        count = min(len(found), self.order.choice((1, 1, 2, 12)))
        return self.order.sample(found, count)

    async def retry(self) -> None:
        for task in self.model.newest():
            if task.stage is Stage.FAILED and self.order.random() < 0.3:
                (task_id,) = self.ledger.new_task_ids(task.workflow_type, YOUNG)
                again = msgspec.structs.replace(
                    self.waiting_again(task), task_id=task_id, retried_from=task.task_id
                )
                await self.commit(task.changed(at=YOUNG, retry_count=1), again)

    def waiting_again(self, task: Task) -> Task:
        first = task_record(stage=Stage.WAITING)
        return msgspec.structs.replace(
            task, stage=first.stage, status=first.status, finished_at=None, server=None, version=1
        )

    async def accept_batches(self) -> None:
        """Take in batches without rows: of a file or a table, some of them reruns."""
        known, order = [*self.model.batches], self.order
        await self.commit_batches(
            *(
                batch_record(
                    f"more-{len(known) + number}",
                    source=Source(kind=order.choice(("inbox", "table")), name="orders"),
                    rerun_of=order.choice((None, *known)),
                )
                for number in range(order.choice((1, 2, 15)))
            )
        )

    async def change_batches(self) -> None:
        batches = self.order.sample([*self.model.batches.values()], self.order.choice((1, 2, 3)))
        status, held = self.order.choice((*BatchStatus,)), self.order.choice((None, "missing_node"))
        await self.commit_batches(
            *(
                batch.changed(
                    at=YOUNG, status=status, held=held, failures_in_a_row=self.order.choice((0, 3))
                )
                for batch in batches
            )
        )

    async def be_written_over(self) -> None:
        """Write over a batch, or a task, in the newest snapshot."""
        path = self.folder / "ledger.json"
        if not path.exists():
            return
        data = path.read_bytes()
        places = [found.start() for found in re.finditer(rb'"created_at"', data)]
        if places:
            with path.open("r+b") as file:
                file.seek(self.order.choice((places[0], places[-1])))
                file.write(b'"created_by"')

    async def archive(self) -> None:
        moved = await self.ledger.archive_finished(NOW)
        before = len(self.model.archived)
        self.model.archive()
        assert len(self.model.archived) - before == moved

    async def snapshot(self) -> None:
        """Begin one, which takes until the next."""
        await self.end_snapshot()
        self.disk.may_go_on.clear()
        self.disk.written.clear()
        self.compaction = asyncio.ensure_future(self.ledger.compact())
        await asyncio.sleep(0)
        async with asyncio.timeout(20):
            while not (self.disk.written.is_set() or self.compaction.done()):
                await asyncio.sleep(0.0005)

    async def end_snapshot(self) -> None:
        self.disk.may_go_on.set()
        if self.compaction is not None:
            await self.compaction
            self.compaction = None

    async def stop_and_start(self) -> None:
        await self.end_snapshot()
        await self.ledger.close()
        await self.begin()

    async def be_killed_and_start(self) -> None:
        """Go on with the files as they lay there, a snapshot without its name among them."""
        await self.snapshot()
        before, disk = self.ledger, self.disk
        shutil.copytree(self.folder, self.root / f"ledger-{self.lives + 1}")
        compaction, self.compaction = self.compaction, None
        disk.may_go_on.set()
        if compaction is not None:
            await compaction
        await before.close()
        self.lives += 1
        await self.begin()

    # -- what must hold --------------------------------------------------------------------------

    def check(self) -> None:
        index, model = self.ledger.index, self.model
        assert list(index.tasks()) == list(model.tasks.values())
        assert all(index.find_task(each) is None for each in model.archived)
        assert all(index.stage_of(each) is None for each in model.archived)
        assert {each: index.stage_of(each) for each in model.tasks} == {
            task_id: task.stage for task_id, task in model.tasks.items()
        }
        for stages in ((Stage.WAITING,), *((each,) for each in IN_PROCESS_STAGES), OPEN_STAGES):
            there = model.those(lambda task, stages=stages: task.stage in stages)
            assert index.in_stage(*stages) == list(index.each_in_stage(*stages)) == there
            assert index.ids_in_stage(*stages) == [task.task_id for task in there]
        for server in SERVERS:
            there = model.those(
                lambda t, server=server: t.stage in IN_PROCESS_STAGES and t.server == server
            )
            assert index.in_stage(*IN_PROCESS_STAGES, server=server) == there
        self.check_batches()
        self.check_families()
        told = model.those(lambda t: t.metadata.table_row and not t.publish.is_settled)
        assert sorted(index.unpublished("orders")) == sorted(task.task_id for task in told)
        everyone = [*model.tasks.values(), *model.archived.values()]
        assert all(index.was_accepted(task.fingerprint or "") for task in everyone)
        assert not index.was_accepted(hashlib.sha256(b"never").hexdigest())

    def check_batches(self) -> None:
        index, model = self.ledger.index, self.model
        batches = [*model.batches.values()]
        assert list(index.batches()) == batches
        assert index.batch_ids() == [*model.batches]
        assert [index.find_batch(each) for each in model.batches] == batches
        assert [index.batch_status(each) for each in model.batches] == [b.status for b in batches]
        assert [index.is_held(each) for each in model.batches] == [
            b.held is not None for b in batches
        ]
        failures = [index.failures_in_a_row(each) for each in model.batches]
        assert failures == [batch.failures_in_a_row for batch in batches]
        assert +Counter(index.batch_counts()) == Counter(batch.status for batch in batches)
        of_table = [b.batch_id for b in batches if b.source.kind == "table"]
        assert index.batches_of_table("orders") == of_table
        for batch in batches:
            family = [batch.batch_id]
            family.extend(each.batch_id for each in batches if each.rerun_of in family)
            assert [batch.batch_id, *index.reruns_of(batch.batch_id)] == family
        assert (index.find_batch("none"), index.batch_status("none")) == (None, None)
        self.check_rolls()

    def check_rolls(self) -> None:
        index, model = self.ledger.index, self.model
        for batch_id in (None, *BATCHES):
            there = model.those(lambda t, batch_id=batch_id: batch_id in (None, t.batch_id))
            newest = model.newest(batch_id)
            assert index.task_ids(batch_id) == [task.task_id for task in there]
            assert +Counter(index.counts(batch_id)) == Counter(task.stage for task in there)
            counted = {
                (kind, stage): count
                for kind, counts in index.family_counts(batch_id).items()
                for stage, count in counts.items()
            }
            assert +Counter(counted) == Counter((t.workflow_type, t.stage) for t in newest)
        for batch_id in BATCHES:
            newest = model.newest(batch_id)
            counted = {
                (number, stage): count
                for number, counts in index.stage_counts(batch_id).items()
                for stage, count in counts.items()
            }
            assert +Counter(counted) == Counter((t.row_stage, t.stage) for t in newest)
            blocked = model.those(
                lambda t, batch_id=batch_id: (
                    t.batch_id == batch_id and t.stage is Stage.WAITING and t.blocked_by
                )
            )
            assert +Counter(index.blocked_counts(batch_id)) == Counter(t.row_stage for t in blocked)
            of_types = index.blocked_types(batch_id)
            assert +Counter(of_types) == Counter(t.workflow_type for t in blocked)
            wait = {kind: model.waiting(batch_id, kind) for kind in TYPES}
            assert {kind: list(index.waiting(batch_id, kind)) for kind in TYPES} == wait
            assert index.waiting_types(batch_id) == sorted(kind for kind in TYPES if wait[kind])
            failed = {task.task_id: task for task in newest if task.stage is Stage.FAILED}
            assert {each: index.task(each) for each in index.failed_ids(batch_id)} == failed

    def check_families(self) -> None:
        index, model = self.ledger.index, self.model
        families: dict[tuple[str, str], list[Task]] = {}
        for task in model.archived.values():
            families[task.family] = []
        for task in model.tasks.values():
            families.setdefault(task.family, []).append(task)
        for (row_id, kind), members in families.items():
            done = [task for task in members if task.stage is Stage.DONE]
            open_ = [task.task_id for task in members if task.stage in OPEN_STAGES]
            assert index.family(row_id, kind) == members
            assert index.newest_of_family(row_id, kind) == (members[-1] if members else None)
            assert index.newest_done_of_family(row_id, kind) == (done[-1] if done else None)
            assert index.open_of_family((row_id, kind)) == (open_[0] if open_ else None)
            of_row = {
                t.task_id: t.workflow_type for t in model.tasks.values() if t.row_id == row_id
            }
            others = {each for each, its_kind in of_row.items() if its_kind != kind}
            assert set(index.row(row_id)) == of_row.keys()
            assert set(index.row(row_id, besides=kind)) == others


@pytest.mark.parametrize("seed", range(4))
async def test_every_answer_is_what_a_look_at_all_records_gives(tmp_path, monkeypatch, seed):
    for module in (slices, archiving_ledger):
        monkeypatch.setattr(module, "SLICE", 10)
    monkeypatch.setattr(slices, "PART", 10)
    monkeypatch.setattr(archiving_ledger, "_FINGERPRINTS_HELD", 15)
    life = Life(tmp_path, Random(seed))
    await life.begin()
    await life.commit_batches(*map(batch_record, BATCHES))
    often = [life.accept, *[life.move] * 4, life.stay, life.retry, life.archive]
    seldom = [life.snapshot, life.end_snapshot, life.stop_and_start, life.be_killed_and_start]
    seldom += [life.accept_batches, life.change_batches, life.change_batches, life.be_written_over]
    for _ in range(STEPS):
        await life.order.choice([*often, *often, *seldom])()
        life.check()
    assert len(life.model.archived) > 5
    await life.end_snapshot()
    await life.accept_batches()  # so that what lies written over is written anew
    await life.ledger.close()
    assert verify(life.folder) == []
