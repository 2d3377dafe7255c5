"""Rows without an id, beside what the ledger took before: which are old ones, which are new."""

from datetime import timedelta

import msgspec
import pytest

from config.settings import Settings
from daemon.intake.table_rows import TableRows
from daemon.intake.wants import Wants
from daemon.tables.handle import handles_of
from daemon.tables.overwritten import Overwritten, overwritten_rows
from daemon.words import Words
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.status import Stage
from ledger.task import Metadata, Publish, Source, TableRow, Task
from ledger.timestamps import to_timestamp
from tests.fakes.clock import JumpingClock
from tests.fakes.file_users import CsvUser
from tests.fakes.records import AT, batch_record, task_record
from tests.unit.intake.archived_table import KEYS, archived_table, archived_task

WEEK_BEFORE, LONG_BEFORE = "2026-11-15T00:00:00.000Z", "2026-11-14T00:00:00.000Z"
TAKEN = {
    "茶壶": {"stage": Stage.DONE},
    "茶杯": {"stage": Stage.DONE, "updated_at": LONG_BEFORE},
    "碗": {"stage": Stage.FAILED},
    "盘": {"stage": Stage.FAILED, "publish": Publish(state="pending")},
    "瓶": {"stage": Stage.DONE, "replaced_by": "img_20261121_000009"},
}


@pytest.fixture
async def sorted_by(tmp_path):
    """Sort a table of (product, 任务ID) by the ledger that took TAKEN in an earlier process."""
    user, clock, ledger = CsvUser(tmp_path), JumpingClock(), Ledger(MemoryBackend())
    await ledger.open()
    source = Source(kind="table", name="table")
    await ledger.commit(batch_record(source=source), op="batch.accepted")
    for number, (name, given) in enumerate(TAKEN.items(), start=1):
        place = TableRow(
            table="table",
            key=f"img_20261121_{number:06}",
            workflow_types=("图片合成",),
            replaced_by=given.get("replaced_by"),
        )
        known = Metadata(table_row=place, feishu_row_data={"product_name": name})
        fields = {"publish": Publish(state="published"), "metadata": known} | given
        fields.pop("replaced_by", None)
        await ledger.commit(task_record(number, **fields), op="batch.accepted")

    async def sort(*rows):
        headings = ("产品名", "任务ID", "状态")
        user.fill(headings, [dict(zip(headings, row, strict=False)) for row in rows])
        table = user.open()
        (handle,) = handles_of([table], Settings(tables=(user.settings,)), ledger, clock)
        found = TableRows(handle, ledger, {}, clock)
        await found.expect_taken(WEEK_BEFORE)
        wants = await found.sort(await table.read_all(), (), AT)
        await table.close()
        robbed = {row.text("product_name"): task_id[-1] for row, task_id in wants.robbed}
        return robbed, [row.text("product_name") for row in wants.ready]

    yield sort
    await ledger.close()


async def test_rows_that_were_done_lately_or_not_told_get_their_ids_back_and_others_run(sorted_by):
    robbed, ready = await sorted_by(*([name] for name in TAKEN))
    assert robbed == {"茶壶": "1", "盘": "4"}
    assert ready == ["茶杯", "碗", "瓶"]


async def test_a_row_alike_one_that_stands_is_new_and_of_two_alike_one_that_went_one_is(sorted_by):
    first = ["茶壶", "img_20261121_000001", "已完成"]
    assert await sorted_by(first, ["茶壶"]) == ({}, ["茶壶"])
    assert await sorted_by(["茶壶"], ["茶壶"]) == ({"茶壶": "1"}, ["茶壶"])


@pytest.fixture
async def archived(tmp_path):
    async with archived_table(tmp_path, MemoryBackend()) as made:
        yield made
        assert overwritten_rows(made.ledger, "table") == []


async def test_rows_that_lose_their_ids_after_they_were_archived_get_them_and_their_results_back(
    archived,
):
    archived.save_older_copy()
    wants = await archived.sort()
    assert [task_id for _, task_id in wants.robbed] == KEYS
    assert wants.ready == []
    await archived.restoration.restore(wants)
    assert await archived.tell() == ["茶壶.png", "茶杯.png"]
    assert [row["任务ID"] for row in archived.user.rows()] == KEYS
    assert {row["状态"] for row in archived.user.rows()} == {"已完成"}
    assert (await archived.sort()) == Wants()


async def test_a_kill_before_archived_rows_got_their_ids_back_runs_none_of_them(archived):
    archived.save_older_copy()
    notes = [Overwritten(table="table", key=key, task_id=key).as_meta() for key in KEYS]
    await archived.ledger.commit(*notes, op="row.overwritten")
    later = TableRows(archived.handle, archived.ledger, {}, archived.clock)
    await later.expect_taken(WEEK_BEFORE)
    wants = await later.sort(await archived.table.read_all(), (), AT)
    assert [task_id for _, task_id in wants.robbed] == KEYS
    await archived.tell()  # finds no row with these ids


async def test_a_row_that_neither_state_nor_archive_knows_is_not_told_and_its_note_goes(archived):
    note = Overwritten(table="table", key="img_20200101_000001", task_id="img_20200101_000001")
    await archived.ledger.commit(note.as_meta(), op="row.overwritten")
    before = archived.user.rows()
    await archived.tell()
    assert archived.user.rows() == before


async def test_of_an_archived_row_that_ran_again_with_its_batch_the_last_run_is_told(archived):
    first = await archived.ledger.find_archived(KEYS[0])
    await archived.ledger.commit(
        batch_record("spring-def567", rerun_of="spring-abc234"),
        archived_task(
            1,
            task_id="img_20261122_000001",
            row_id="spring-def567:1",
            batch_id="spring-def567",
            created_at="2026-11-22T10:00:00.000Z",
            output_files=("outputs/again.png",),
            outputs=(msgspec.structs.replace(first.outputs[0], path="outputs/again.png"),),
        ),
        op="batch.rerun",
    )
    archived.save_older_copy()
    await archived.restoration.restore(await archived.sort())
    assert await archived.tell() == ["again.png", "茶杯.png"]


async def test_a_changed_copy_above_an_archived_row_is_told_to_be_the_copy(archived):
    archived.user.insert(0, {"产品名": "茶盘", "任务ID": KEYS[0], "状态": "已完成"})
    wants = await archived.sort()
    assert [(row.text("product_name"), why.code) for row, why in wants.reports] == [
        ("茶盘", "copied")
    ]
    assert [note.key for note in wants.copies] == [f"table:{KEYS[0]}"]


def run_anew(number: int, replaces: str, made: int) -> Task:
    """Return the task of a later run of a row, done and told, that replaced another id."""
    key = f"img_20261122_{made:06}"
    task = archived_task(number, task_id=key, row_id=f"table:{key}", output_files=(f"{made}.png",))
    row = msgspec.structs.replace(task.metadata.table_row, key=key, replaces=replaces)
    output = msgspec.structs.replace(task.outputs[0], path=f"{made}.png")
    metadata = msgspec.structs.replace(task.metadata, table_row=row)
    return msgspec.structs.replace(task, metadata=metadata, outputs=(output,))


@pytest.mark.parametrize("archived_again", [False, True])
async def test_an_archived_id_that_a_later_run_replaced_gives_way_to_the_last_one(
    archived, archived_again
):
    second = run_anew(1, KEYS[0], made=1)
    third = run_anew(1, second.task_id, made=2)
    await archived.archive([second])
    if archived_again:
        await archived.archive([third])
    else:
        await archived.ledger.commit(third, op="batch.accepted")
    before = archived.user.path.read_bytes()
    archived.user.edit(0, "任务ID", third.task_id)
    assert (await archived.sort()).outdated == []
    archived.user.path.write_bytes(before)  # shows the end of the first run
    archived.user.copy(0)
    archived.user.edit(1, "产品名", "茶盘")
    wants = await archived.sort()
    assert [(each.row.place, each.key) for each in wants.outdated] == [("2", third.task_id)]
    assert [(row.text("product_name"), why.code) for row, why in wants.reports] == [
        ("茶盘", "copied")
    ]
    await archived.restoration.restore(wants)
    assert (await archived.tell())[0] == "2.png"
    assert archived.user.rows()[0]["任务ID"] == third.task_id
    assert (await archived.sort()).outdated == []


@pytest.mark.parametrize("damage", ["flipped", "gone"])
async def test_what_is_damaged_in_the_archive_costs_no_other_row_and_is_told(tmp_path, damage):
    async with archived_table(tmp_path, JsonDirBackend(tmp_path / "ledger")) as archived:
        content = tmp_path / "ledger" / "archive" / "2026-11.jsonl.gz"
        whole = content.read_bytes()
        flipped = whole[:40] + bytes([whole[40] ^ 0xFF]) + whole[41:]
        content.write_bytes(flipped) if damage == "flipped" else content.unlink()
        archived.save_older_copy()
        wants = await archived.sort()
        others = [KEYS[1]] if damage == "flipped" else []
        assert [task_id for _, task_id in wants.robbed] == others
        (concern,) = archived.rows.concerns
        assert f"({content.name}" in concern.text(Words("en"))
        assert f"（{content.name}" in concern.text(Words("zh"))
        content.write_bytes(whole)
        archived.user.insert(0, {"产品名": "茶盘"})
        wants = await archived.sort()
        assert {task_id for _, task_id in wants.robbed} == {*KEYS}
        assert [row.text("product_name") for row in wants.ready] == ["茶盘"]
        assert archived.rows.concerns == []


async def test_a_row_whose_end_an_older_copy_took_away_before_we_saw_it_is_told_anew_each_time(
    tmp_path,
):
    user, clock, ledger = CsvUser(tmp_path), JumpingClock(), Ledger(MemoryBackend())
    await ledger.open()
    key = "img_20261121_000001"
    place = TableRow(table="table", key=key, workflow_types=("图片合成",))
    known = Metadata(table_row=place, feishu_row_data={"产品名": "茶壶"})
    task = task_record(1, metadata=known, publish=Publish(state="pending"))
    await ledger.commit(batch_record(), task, op="batch.accepted")
    user.fill(("产品名", "任务ID", "状态", "完成时间"), [{"任务ID": key, "状态": "在处理中"}])
    table = user.open()
    (handle,) = handles_of([table], Settings(tables=(user.settings,)), ledger, clock)
    found, reading = TableRows(handle, ledger, {}, clock), await table.read_all()
    at = to_timestamp(clock.now() + timedelta(hours=1))
    assert (await found.sort(reading, (), at)).overwritten == []
    for stage in (Stage.SUBMITTING, Stage.QUEUED, Stage.RUNNING, Stage.COLLECTING, Stage.DONE):
        await ledger.commit(ledger.task(key).moved(stage, at=AT), op="task.moved")
    told = ledger.task(key).changed(at=AT, publish=Publish(state="published"))
    await ledger.commit(told, op="task.published")
    note = Overwritten(table="table", key=key, task_id=key)
    for _ in range(2):
        ((row, _),) = (await found.sort(reading, (), at)).overwritten
        assert row.key == key
        await ledger.commit(note.as_meta(), op="row.overwritten")
        assert (await found.sort(reading, (), at)).overwritten == []
        await ledger.commit(note.as_meta(stands=False), op="row.told")
    await table.close()
    await ledger.close()
