"""Changes of tasks that stay where they stand take a shorter way, and leave the same behind."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from ledger.entry import Record
from ledger.errors import Conflict, LedgerClosed
from ledger.index import Index
from ledger.jsondir.reader import read_state
from ledger.ledger import Ledger
from ledger.status import STATUS_OF, Stage
from ledger.task import Metadata, Publish, TableRow
from tests.fakes.disk import FailingDisk
from tests.fakes.records import AT, batch_record, task_record
from tests.unit.ledger.conftest import in_folder

ID = task_record().task_id


@pytest.fixture
async def ledger(folder) -> AsyncIterator[Ledger]:
    """One with a task in process, on gpu-a."""
    ledger = in_folder(folder)
    await ledger.open()
    await ledger.commit(batch_record(), task_record(), op="batch.accepted")
    await change(ledger, stage=Stage.SUBMITTING, server="gpu-a")
    yield ledger
    if ledger.writable:
        await ledger.close()


async def change(ledger: Ledger, **fields: object) -> None:
    if isinstance(stage := fields.get("stage"), Stage):
        fields["status"] = STATUS_OF[stage]
    await ledger.commit(ledger.task(ID).changed(at=AT, **fields), op="task.changed")


async def test_a_change_in_place_is_shown_told_and_written(ledger, folder):
    heard: list[str] = []
    ledger.subscribe(lambda told: heard.append(told.records[0].comfyui_task_id), Stage.SUBMITTING)
    await change(ledger, comfyui_task_id="one")
    await change(ledger, comfyui_task_id="two")
    assert heard == ["one", "two"]
    assert [each.comfyui_task_id for each in ledger.in_stage(Stage.SUBMITTING)] == ["two"]
    await ledger.close()
    assert read_state(folder).tasks[ID].comfyui_task_id == "two"


async def test_a_task_that_changes_its_server_only_is_found_at_the_new_one(ledger):
    await change(ledger, server="gpu-b")
    found = {
        server: len(ledger.in_stage(Stage.SUBMITTING, server=server))
        for server in ("gpu-a", "gpu-b")
    }
    assert found == {"gpu-a": 0, "gpu-b": 1}


async def test_a_task_in_process_that_its_table_is_to_be_told_of_is_in_the_outbox(ledger):
    place = TableRow(table="table", key="row", workflow_types=("图片合成",))
    task = task_record(2, metadata=Metadata(table_row=place))
    await ledger.commit(task, op="task.accepted")
    task = task.moved(Stage.SUBMITTING, at=AT)
    await ledger.commit(task, op="task.submitted")
    outboxes = []
    for state in ("published", "pending"):
        task = task.changed(at=AT, publish=Publish(state=state))
        await ledger.commit(task, op="task.changed")
        outboxes.append(ledger.unpublished("table"))
    assert outboxes == [[], [task.task_id]]


async def test_versions_in_place_follow_one_another_before_any_is_durable(ledger):
    first = ledger.task(ID).changed(at=AT, comfyui_task_id="one")
    second = first.changed(at=AT, comfyui_task_id="two")
    ended = second.changed(at=AT, stage=Stage.FAILED, status=STATUS_OF[Stage.FAILED])
    await asyncio.gather(
        *(ledger.commit(each, op="task.changed") for each in (first, second, ended))
    )
    assert ledger.task(ID) == ended
    with pytest.raises(Conflict):
        await ledger.commit(second, op="task.changed")


async def test_nothing_is_kept_of_a_task_in_place_once_it_has_ended(ledger):
    await change(ledger, comfyui_task_id="one")
    await change(ledger, stage=Stage.FAILED)
    assert ledger._pending.tasks == {}


async def test_the_version_before_a_failed_write_is_the_known_one_afterwards(folder):
    disk = FailingDisk()
    ledger = in_folder(folder, disk)
    await ledger.open()
    await ledger.commit(batch_record(), task_record(), op="batch.accepted")
    await change(ledger, stage=Stage.SUBMITTING, server="gpu-a")
    await change(ledger, comfyui_task_id="one")
    disk.full = True
    with pytest.raises(LedgerClosed):
        await change(ledger, comfyui_task_id="lost")
    disk.full = False
    await ledger.reopen()
    await change(ledger, comfyui_task_id="two")
    assert (ledger.task(ID).version, ledger.task(ID).comfyui_task_id) == (4, "two")
    await ledger.close()


async def test_what_follows_a_change_that_could_not_be_shown_is_found_where_it_stands(
    ledger, monkeypatch
):
    moved = ledger.task(ID).moved(Stage.RUNNING, at=AT)
    onward = moved.changed(at=AT, comfyui_task_id="one")
    faults = [RuntimeError("a fault of ours")]
    apply = Index.apply

    def apply_after_a_fault(index: Index, record: Record, encoded: bytes) -> None:
        if faults:
            raise faults.pop()
        apply(index, record, encoded)

    monkeypatch.setattr(Index, "apply", apply_after_a_fault)
    outcomes = await asyncio.gather(
        *(ledger.commit(each, op="task.changed") for each in (moved, onward)),
        return_exceptions=True,
    )
    assert [type(each) for each in outcomes] == [RuntimeError, type(None)]
    assert ledger.in_stage(Stage.RUNNING) == [onward]
    assert ledger.in_stage(Stage.SUBMITTING) == []
