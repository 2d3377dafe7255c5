"""The outbox and tables whose cells take files: no end is told without its results."""

import asyncio

import pytest
from PIL import Image

from config.settings import Settings
from daemon import failpoint
from daemon.publish.outbox import TableOutbox
from daemon.tables.handle import handles_of
from daemon.tables.overwritten import Overwritten
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.status import Stage
from ledger.task import Metadata, OutputFile, Publish, TableRow, Task
from tests.fakes.clock import JumpingClock
from tests.fakes.feishu_users import BitableUser, SheetUser
from tests.fakes.records import AT, batch_record, task_record

HEADINGS = ("产品名", "任务ID", "状态", "输出图片", "输出视频")
PICTURE, VIDEO = "图片合成", "图生视频"
TASK_ID = "img_20261121_000001"


@pytest.fixture
async def user(tmp_path):
    user = BitableUser(tmp_path / "document")
    await user.start()
    user.fill(HEADINGS, [{"任务ID": "one"}, {"任务ID": "two"}])
    yield user
    await user.stop()


@pytest.fixture(autouse=True)
def disarmed():
    yield
    failpoint.arm(None)


def output(user: BitableUser, name: str) -> OutputFile:
    (user.folder / name).write_bytes(name.encode())
    return OutputFile(
        node="40", filename=name, subfolder="", type="output", path=name, sha256=name, size_bytes=1
    )


def task_of_row(user: BitableUser, row: int, stage: Stage, name: str, **fields: object) -> Task:
    key = user.base.rows[row].record_id
    place = TableRow(table="table", key=key, workflow_types=(PICTURE, VIDEO))
    return task_record(
        row + 1,
        stage,
        publish=Publish(state="pending"),
        metadata=Metadata(table_row=place),
        outputs=(output(user, name),),
        **fields,
    )


async def test_a_task_that_ends_while_others_are_uploaded_is_told_with_its_result_or_later(user):
    clock, ledger = JumpingClock(), Ledger(MemoryBackend())
    await ledger.open()
    video = task_of_row(
        user, 0, Stage.COLLECTING, "a.mp4", task_id="vid_20261121_000001", workflow_type=VIDEO
    )
    pictures = [task_of_row(user, row, Stage.DONE, f"{row}.png") for row in (0, 1)]
    await ledger.commit(batch_record(), *pictures, video, op="batch.accepted")
    table = user.open()
    (handle,) = handles_of([table], Settings(tables=(user.settings,)), ledger, clock)
    outbox = TableOutbox(handle, ledger, user.folder.joinpath, clock)
    ledger.subscribe(outbox.follow)
    await outbox.load()
    ends: list[asyncio.Task[None]] = []

    def first_upload(place: str) -> None:
        if place == "publish.uploaded" and not ends:
            done = ledger.commit(video.moved(Stage.DONE, at=AT), op="task.done")
            ends.append(asyncio.ensure_future(done))

    failpoint.arm(first_upload)
    await outbox.tell(at_once=True)
    await asyncio.gather(*ends)
    assert len(ends) == 1
    assert user.rows()[1]["状态"] != ""
    assert (user.rows()[0]["状态"], ledger.task(video.task_id).publish.state) == ("", "pending")
    await outbox.tell(at_once=True)
    assert user.rows()[0]["输出视频"].endswith(".mp4")
    assert user.rows()[0]["输出图片"].endswith(".png")
    assert {task.publish.state for task in ledger.tasks()} == {"published"}
    await table.close()
    await ledger.close()


async def test_results_that_have_no_column_are_told_in_their_row_and_kept(tmp_path):
    user = SheetUser(tmp_path / "document")
    await user.start()
    user.fill(("产品名", "任务ID", "状态", "错误信息", "输出图片"), [{"任务ID": TASK_ID}])
    clock, ledger = JumpingClock(), Ledger(MemoryBackend())
    await ledger.open()
    pictures = [tmp_path / "document" / f"{n}.png" for n in range(3)]
    for number, path in enumerate(pictures):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(path)
    outputs = tuple(
        OutputFile(
            node="40", filename=n, subfolder="", type="output", path=n, sha256=n, size_bytes=1
        )
        for n in (path.name for path in pictures)
    )
    place = TableRow(table="table", key=TASK_ID, workflow_types=(PICTURE,))
    task = task_record(
        1,
        Stage.DONE,
        publish=Publish(state="pending"),
        metadata=Metadata(table_row=place),
        outputs=outputs,
    )
    await ledger.commit(batch_record(), task, op="batch.accepted")
    table = user.open()
    (handle,) = handles_of([table], Settings(tables=(user.settings,)), ledger, clock)
    outbox = TableOutbox(handle, ledger, user.folder.joinpath, clock)
    await outbox.load()
    await outbox.tell(at_once=True)
    (row,) = user.rows()
    assert (row["状态"], row["输出图片"].startswith("0")) == ("已完成", True)
    assert "输出图片2、输出图片3" in row["错误信息"]
    user.rename("产品名", "输出图片2")
    await table.read()
    await ledger.commit(
        Overwritten(table="table", key=TASK_ID, task_id=TASK_ID).as_meta(), op="row.overwritten"
    )
    again = TableOutbox(handle, ledger, user.folder.joinpath, clock)
    await again.load()
    await again.tell(at_once=True)
    (row,) = user.rows()
    assert row["输出图片2"].startswith("1")
    assert "输出图片3" in row["错误信息"]
    await table.close()
    await ledger.close()
    await user.stop()
