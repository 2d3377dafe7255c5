"""What is kept for how long: nothing goes that somebody may still need."""

import hashlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from config.settings import LedgerSettings, Outputs, Settings, Table
from daemon.upkeep import retention
from daemon.upkeep.retention import archive_after_days, forget_inputs, forget_outputs
from ledger.jsondir.check import verify
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from ledger.status import Stage
from ledger.task import InputFile, OutputFile, Publish, Task
from ledger.timestamps import to_timestamp
from tests.fakes.records import batch_record, task_record

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)


def days_ago(days: float) -> str:
    return to_timestamp(NOW - timedelta(days=days))


class Store:
    """A ledger with its content store and output folder; ages are days before NOW."""

    def __init__(self, folder: Path) -> None:
        self.state = folder
        self.inputs = folder / "inputs"
        self.outputs = folder / "outputs"
        self.ledger = Ledger(JsonDirBackend(folder / "ledger", archive_after_days=30))
        self.number = 0

    def content(self, text: str, age: float) -> Path:
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        path = self.inputs / "sha256" / sha256[:2] / sha256
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        at = (NOW - timedelta(days=age)).timestamp()
        os.utime(path, (at, at))
        return path

    async def needing(self, path: Path, ended: float | None, **fields: object) -> Task:
        """Record a task with this input that ended so many days ago, None: is open."""
        file = InputFile(name="a.png", sha256=path.name, size_bytes=1)
        return await self.task(ended, inputs={"product_image": file}, **fields)

    async def task(self, ended: float | None, **fields: object) -> Task:
        self.number += 1
        stage = fields.pop("stage", Stage.WAITING if ended is None else Stage.FAILED)
        at = None if ended is None else days_ago(ended)
        task = task_record(self.number, stage, finished_at=at, **fields)
        await self.ledger.commit(task, op="task.accepted")
        return task

    async def done(self, ended: float, *, name: str = "", **fields: object) -> tuple[Task, Path]:
        """Record a done task with its result on disk."""
        path = self.outputs / "spring" / (name or f"{self.number + 1:04}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"picture %d" % self.number)
        at = (NOW - timedelta(days=ended)).timestamp()
        os.utime(path, (at, at))
        content = path.read_bytes()
        output = OutputFile(
            node="9",
            filename="9_00001_.png",
            subfolder="",
            type="output",
            path=path.relative_to(self.state).as_posix(),
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
        )
        task = await self.task(ended, stage=Stage.DONE, outputs=(output,), **fields)
        return task, path

    async def forget_inputs(self, days: int = 30, now: datetime = NOW) -> int:
        return await forget_inputs(self.ledger, self.inputs, now, days)

    async def forget_outputs(self, days: int, now: datetime = NOW) -> int:
        return await forget_outputs(
            self.ledger, lambda path: self.state / path, self.outputs, now, days
        )


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = Store(tmp_path)
    await made.ledger.open()
    await made.ledger.commit(batch_record(), op="batch.accepted")
    yield made
    await made.ledger.close()


async def test_a_copy_goes_thirty_days_after_the_last_task_that_needed_it(store: Store) -> None:
    kept, gone = store.content("kept", 90), store.content("gone", 90)
    for path, ended in ((kept, 60), (kept, 29), (gone, 31)):
        await store.needing(path, ended)
    assert await store.forget_inputs() == 1
    assert (kept.exists(), gone.exists()) == (True, False)
    assert not gone.parent.exists()


async def test_a_copy_that_an_open_task_needs_stays_however_old(store: Store) -> None:
    path = store.content("old", 900)
    await store.needing(path, 800)
    await store.needing(path, None, row_id="spring-abc234:77")
    assert await store.forget_inputs() == 0
    assert path.exists()


async def test_a_copy_just_taken_in_stays_though_no_task_names_it_yet(store: Store) -> None:
    fresh, forgotten = store.content("fresh", 0.1), store.content("forgotten", 31)
    assert await store.forget_inputs() == 1
    assert (fresh.exists(), forgotten.exists()) == (True, False)


async def test_when_a_copy_was_needed_is_known_after_its_tasks_were_archived(store: Store) -> None:
    path = store.content("a", 90)
    await store.needing(path, 40)
    assert await store.forget_inputs(days=45) == 0
    assert await store.ledger.archive_finished(NOW) == 1
    assert await store.forget_inputs(days=45) == 0
    assert await store.forget_inputs(days=45, now=NOW + timedelta(days=6)) == 1


async def test_zero_days_keep_for_ever(store: Store) -> None:
    path = store.content("a", 900)
    await store.needing(path, 800)
    _, result = await store.done(800)
    assert await store.forget_inputs(days=0) == 0
    assert await store.forget_outputs(days=0) == 0
    assert path.exists()
    assert result.exists()


async def test_a_copy_that_is_wanted_again_in_the_last_moment_gets_its_name_back(
    store: Store,
) -> None:
    path = store.content("a", 90)
    leaving = path.with_name(path.name + ".leaving")
    path.rename(leaving)
    os.utime(leaving)  # as taking it in does
    assert not retention._leave(leaving, {}, (NOW - timedelta(days=30)).timestamp())
    assert path.read_text() == "a"
    assert not leaving.exists()


@pytest.mark.parametrize("needed", [True, False])
async def test_a_kill_while_a_copy_leaves_is_made_good_by_the_next_sweep(
    needed: bool, store: Store
) -> None:
    path = store.content("a", 90)
    await store.needing(path, None if needed else 60)
    path.rename(path.with_name(path.name + ".leaving"))
    await store.forget_inputs()
    assert path.exists() is needed
    assert not path.with_name(path.name + ".leaving").exists()


async def test_results_go_and_the_record_stays_done_with_their_proof(store: Store) -> None:
    old, old_path = await store.done(91)
    new, new_path = await store.done(89)
    assert await store.forget_outputs(days=90) == 1
    assert (old_path.exists(), new_path.exists()) == (False, True)
    after = store.ledger.task(old.task_id)
    assert (after.stage, after.finished_at) == (Stage.DONE, old.finished_at)
    assert after.outputs == (msgspec.structs.replace(old.outputs[0], removed_at=to_timestamp(NOW)),)
    assert store.ledger.task(new.task_id) == new


async def test_verify_finds_nothing_wrong_after_results_have_gone(store: Store) -> None:
    await store.done(91)
    await store.done(1)
    await store.forget_outputs(days=90)
    await store.ledger.compact()
    assert verify(store.state / "ledger", outputs_root=store.state) == []


async def test_a_result_stays_while_a_task_of_its_row_is_open_or_a_table_is_to_be_told(
    store: Store,
) -> None:
    first, picture = await store.done(91)
    await store.task(None, row_id=first.row_id, workflow_type="图生视频")
    _, untold = await store.done(91, publish=Publish(state="pending"))
    assert await store.forget_outputs(days=90) == 0
    assert picture.exists()
    assert untold.exists()


async def test_a_file_that_took_the_name_of_a_removed_result_stays(store: Store) -> None:
    task, path = await store.done(91)
    content = path.read_bytes()
    await store.forget_outputs(days=90)
    path.parent.mkdir()
    path.write_bytes(content)  # another row's result, as it happens
    os.utime(path, (NOW.timestamp() + 60, NOW.timestamp() + 60))
    assert await store.forget_outputs(days=90, now=NOW + timedelta(days=1)) == 0
    assert path.exists()
    assert store.ledger.task(task.task_id).version == 2


async def test_a_result_that_somebody_changed_stays(store: Store) -> None:
    _, path = await store.done(91)
    path.write_bytes(b"painted over")
    assert await store.forget_outputs(days=90) == 0
    assert path.exists()


async def test_a_kill_between_the_mark_and_the_removal_is_made_good(store: Store) -> None:
    task, path = await store.done(91)
    gone = [msgspec.structs.replace(each, removed_at=days_ago(0)) for each in task.outputs]
    await store.ledger.commit(task.changed(at=days_ago(0), outputs=gone), op="task.outputs_removed")
    assert await store.forget_outputs(days=90) == 1
    assert not path.exists()
    assert store.outputs.exists()
    assert not path.parent.exists()


def test_rows_are_not_archived_before_their_results_may_go() -> None:
    ledger = LedgerSettings(archive_after_days=30)
    assert archive_after_days(Settings(ledger=ledger)) == 30
    assert archive_after_days(Settings(ledger=ledger, outputs=Outputs(retention_days=90))) == 90


def test_rows_of_tables_are_not_archived_while_a_start_looks_for_them() -> None:
    ledger, table = LedgerSettings(archive_after_days=1), Table(name="spring", kind="csv")
    assert archive_after_days(Settings(ledger=ledger)) == 1
    assert archive_after_days(Settings(ledger=ledger, tables=(table,))) == 7
