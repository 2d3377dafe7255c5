"""The ledger against a plain dict, with power cuts at any place of any operation."""

import asyncio
import hashlib
import itertools
import json
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ledger.batch import Batch
from ledger.direct import DirectLedger
from ledger.entry import Meta, Record
from ledger.errors import LedgerError
from ledger.jsondir.archive import find
from ledger.jsondir.check import verify
from ledger.jsondir.orders import Limits
from ledger.jsondir.repair import repair
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from ledger.status import MOVES, OPEN_STAGES
from ledger.task import Metadata, Source, Task
from tests.fakes.disk import ForgetfulDisk
from tests.fakes.records import AT, batch_record, task_record

PLAIN = Limits(
    snapshot_seconds=3600, journal_bytes=6000, unfolded_bytes=6000, journal_bytes_at_close=3000
)

#: None: bytes and names reach the platter in the order they were written; else in any.
ORDERS = st.none() | st.integers(0, 2**32)


def of_row(name: str) -> Metadata:
    fingerprint = hashlib.sha256(name.encode()).hexdigest()
    return Metadata(source=Source(kind="inbox", name="spring.csv", fingerprint=fingerprint))


class PowerCuts(RuleBasedStateMachine):
    """Every rule may lose power in its middle; what was acknowledged is there afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.folder = self.root / "ledger"
        self.loop = asyncio.new_event_loop()
        self.shadows = itertools.count()
        self.left: int | None = None  # places until the power goes
        self.order: Random | None = None  # in which what was on its way then reaches the platter
        self.tasks: dict[str, Task] = {}
        self.batches: dict[str, Batch] = {}
        self.meta: dict[str, object] = {}
        self.under_way: tuple[Record, ...] = ()
        self.open()
        self.commit(batch_record())

    def open(self) -> None:
        self.left = None
        shadow = self.root / f"shadow-{next(self.shadows)}"
        folders = [self.folder, self.folder / "archive"]
        self.disk = ForgetfulDisk(shadow, folders, self.reached)
        backend = JsonDirBackend(self.folder, disk=self.disk, limits=PLAIN)
        self.ledger = Ledger(backend)
        self.loop.run_until_complete(self.ledger.open())

    def reached(self, name: str) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left <= 0:
                self.disk.cut_power()

    def come_up(self, keep) -> None:
        self.disk.after_power_cut(keep, order=self.order)
        self.open()
        if self.ledger.damage and self.order is not None:
            self.mend()
        self.order = None

    def mend(self) -> None:
        """Repair what sectors written out of order look like: damage before a valid line.

        Only what was never acknowledged is lost by it, which the invariant sees to.
        """
        self.loop.run_until_complete(self.ledger.close())
        repair(self.folder, now=lambda: datetime(2026, 11, 21, tzinfo=UTC))
        self.open()

    def run(self, work) -> bool:
        """Do it; when the power went, bring the machine up again and return False."""
        try:
            self.loop.run_until_complete(work)
        except (LedgerError, OSError):
            assert self.left is not None, "failed with the power on"
            self.cut(lambda size: size // 2)
            return False
        return True

    def commit(self, *records: Record) -> None:
        self.under_way = records
        if self.run(self.ledger.commit(*records, op="a.b")):
            self.learn(records)
        self.under_way = ()

    def learn(self, records: tuple[Record, ...]) -> None:
        for record in records:
            if isinstance(record, Task):
                self.tasks[record.task_id] = record
            elif isinstance(record, Batch):
                self.batches[record.batch_id] = record
            elif isinstance(record, Meta):
                self.meta[record.key] = record.value
                if record.value is None:
                    del self.meta[record.key]

    def cut(self, keep) -> None:
        self.disk.cut_power()
        self.loop.run_until_complete(self.ledger.close())
        self.come_up(keep)
        if self.under_way and self.there(self.under_way[-1]):
            self.learn(self.under_way)  # it was not acknowledged, yet it is there: then wholly

    def there(self, record: Record) -> bool:
        if isinstance(record, Task):
            known = self.ledger.index.find_task(record.task_id)
            return known is not None and known.version == record.version
        if isinstance(record, Batch):
            batch = self.ledger.index.find_batch(record.batch_id)
            return batch is not None and batch.version == record.version
        if isinstance(record, Meta):
            return self.ledger.meta(record.section).get(record.key) == record.value
        return False

    @rule(places=st.integers(1, 12), order=ORDERS)
    def the_power_will_go(self, places: int, order: int | None) -> None:
        self.left = places
        self.order = None if order is None else Random(order)

    @rule(count=st.integers(1, 3))
    def accept(self, count: int) -> None:
        ids = self.ledger.new_task_ids("图片合成", AT, count)
        assert not set(ids) & set(self.tasks)
        new = [
            task_record(int(each[-6:]), task_id=each, metadata=of_row(each[-6:])) for each in ids
        ]
        self.commit(*new, Meta(section="drops", key=ids[0], value=count))

    # What is drawn must not depend on where two threads stood when the power went: so no
    # preconditions, and choices by number.

    @rule(which=st.integers(0, 1000), to=st.integers(0, 1000))
    def move(self, which: int, to: int) -> None:
        if moved := self.moved(which, to):
            self.commit(*moved)

    def moved(self, which: int, to: int) -> tuple[Task, ...]:
        open_ = [each for each in self.tasks.values() if each.stage in OPEN_STAGES]
        if not open_:
            return ()
        task = open_[which % len(open_)]
        stages = sorted(MOVES[task.stage])
        return (task.moved(stages[to % len(stages)], at=AT, error_message="x" * 300),)

    @rule(which=st.integers(0, 1000), to=st.integers(0, 1000), compacting=st.booleans())
    def act_without_a_daemon(self, which: int, to: int, *, compacting: bool) -> None:
        self.loop.run_until_complete(self.ledger.close())
        self.under_way = self.moved(which, to)
        try:
            with DirectLedger(self.folder, disk=self.disk) as direct:
                if self.under_way:
                    direct.commit(*self.under_way, op="a.b", actor="cli:anna")
                    self.learn(self.under_way)
                    self.under_way = ()
                if compacting:
                    direct.compact()
        except (LedgerError, OSError):
            assert self.left is not None, "failed with the power on"
        if self.left is None:
            self.show_in_snapshot()
            self.open()
        else:
            self.cut(lambda size: size // 2)
        self.under_way = ()

    def show_in_snapshot(self) -> None:
        document = json.loads((self.folder / "ledger.json").read_bytes())
        shown = {task_id: task["version"] for task_id, task in document["tasks"].items()}
        open_ = [each for each in self.tasks.values() if each.stage in OPEN_STAGES]
        assert all(shown[task.task_id] == task.version for task in open_)

    @rule(which=st.integers(0, 1000))
    def accept_or_change_a_batch(self, which: int) -> None:
        known = [None, *self.batches.values()][which % (len(self.batches) + 1)]
        if known is None:
            self.commit(batch_record(f"summer-{len(self.batches)}"))
        else:
            self.commit(known.changed(at=AT, failures_in_a_row=which))

    @rule()
    def forget_a_drop(self) -> None:
        if self.meta:
            self.commit(Meta(section="drops", key=next(iter(self.meta)), value=None))

    @rule()
    def compact(self) -> None:
        self.run(self.ledger.compact())

    @rule()
    def archive(self) -> None:
        self.run(self.ledger.archive_finished(datetime(2027, 6, 1, tzinfo=UTC)))

    @rule(share=st.floats(0, 1), order=ORDERS)
    def lose_power(self, share: float, order: int | None) -> None:
        self.order = None if order is None else Random(order)
        self.cut(lambda size: int(size * share))

    @rule()
    def stop_and_start(self) -> None:
        self.loop.run_until_complete(self.ledger.close())
        if self.left is not None:
            self.disk.cut_power()
            self.come_up(lambda _: 0)
        else:
            self.open()

    @invariant()
    def holds_what_was_acknowledged(self) -> None:
        if self.left is not None:
            return  # a compaction may be under way with the power about to go
        assert self.ledger.damage == ()
        for task in self.tasks.values():
            known = self.ledger.index.find_task(task.task_id) or find(self.folder, task.task_id)
            assert known == task
            assert self.ledger.was_accepted(task.fingerprint)
        assert not self.ledger.was_accepted(of_row("never").source.fingerprint)
        assert [*self.ledger.batches()] == [*self.batches.values()]
        assert sum(self.ledger.counts().values()) <= len(self.tasks)
        assert dict(self.ledger.meta("drops")) == self.meta
        open_ = {each.task_id for each in self.tasks.values() if each.stage in OPEN_STAGES}
        assert {each.task_id for each in self.ledger.in_stage(*OPEN_STAGES)} == open_

    def teardown(self) -> None:
        self.left = None
        self.loop.run_until_complete(self.ledger.close())
        self.loop.close()
        problems = verify(self.folder)
        shutil.rmtree(self.root)
        assert problems == []


PowerCuts.TestCase.settings = settings(
    derandomize=True,  # a change is judged by it, not its luck
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestPowerCuts = PowerCuts.TestCase
