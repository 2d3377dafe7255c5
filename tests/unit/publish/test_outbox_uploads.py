"""Results in parts: the outbox goes on with them after a kill, by what the ledger on disk says."""

from collections import Counter
from contextlib import asynccontextmanager

import msgspec
import pytest

from config.settings import Settings
from daemon import failpoint
from daemon.feishu.uploads import Begun
from daemon.publish.due import GATHER_SECONDS
from daemon.publish.outbox import TableOutbox
from daemon.publish.publisher import IDLE_SECONDS
from daemon.publish.reconcile import Reconciliation
from daemon.tables.handle import handles_of
from daemon.tables.ongoing import LIFE, SECTION, Ongoing
from daemon.tables.overwritten import Overwritten
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.task import Publish
from tests.fakes.clock import JumpingClock
from tests.fakes.feishu_users import BitableUser
from tests.fakes.records import batch_record, untold_video

MIB = 1024 * 1024


class Killed(BaseException):
    """The process is no more."""


@asynccontextmanager
async def with_a_row(folder):
    user = BitableUser(folder / "document")
    await user.start()
    user.fill(("产品名", "状态", "输出视频"), [{"产品名": "茶壶"}])
    yield user
    await user.stop()


@pytest.fixture
async def user(tmp_path):
    async with with_a_row(tmp_path) as user:
        yield user
    failpoint.arm(None)


async def accepted(user, folder, size_bytes: int, token: str | None = None) -> None:
    """Have the ledger in *folder* know a video that no table was told of; perhaps its *token*."""
    (folder / "a.mp4").write_bytes(bytes(size_bytes))
    task = untold_video("a.mp4", user.base.rows[0].record_id)
    if token is not None:
        publish = Publish(state="pending", tokens={key_of(user): token})
        task = msgspec.structs.replace(task, publish=publish)
    ledger = Ledger(JsonDirBackend(folder / "ledger"))
    await ledger.open()
    await ledger.commit(batch_record(), task, op="batch.accepted")
    await ledger.close()


async def told(
    user, folder, dies_at: str = "", number: int = 1, reached: Counter[str] | None = None
) -> dict[str, object]:
    """Tell the table in a process of its own, that may die; return what is noted of uploads."""
    left, places = number, Counter() if reached is None else reached

    def watch(place: str) -> None:
        nonlocal left
        places[place] += 1
        left -= place == dies_at
        if not left:
            raise Killed

    ledger = Ledger(JsonDirBackend(folder / "ledger"))
    await ledger.open()
    table = user.open()
    (handle,) = handles_of([table], Settings(tables=(user.settings,)), ledger, user.clock)
    outbox = TableOutbox(handle, ledger, folder.joinpath, user.clock)
    await outbox.load()
    failpoint.arm(watch)
    try:
        while outbox.seconds_to_next() < IDLE_SECONDS:
            await outbox.tell(at_once=True)
    except Killed:
        assert dies_at
    finally:
        failpoint.arm(None)
        await table.close()
        await ledger.close()
    return dict(ledger.meta(SECTION))


async def noted(folder) -> Publish:
    """Return what the record says of the table."""
    ledger = Ledger(JsonDirBackend(folder / "ledger"))
    await ledger.open()
    (task,) = ledger.tasks()
    await ledger.close()
    return task.publish


def key_of(user) -> str:
    return f"{user.open().document}:{'0' * 64}"


def foreign_token(user) -> str:
    return user.feishu.drive.put(b"a video", "a.mp4", "another base")


def steps_of(reached: Counter[str]) -> list[tuple[str, int]]:
    """Return every step of publishing, each time that it was taken."""
    steps = [
        (place, number)
        for place, count in reached.items()
        if place.startswith(("feishu.", "publish."))
        for number in range(1, count + 1)
    ]
    assert len(steps) >= 10, reached
    return steps


PLACES = [
    *(("feishu.upload.begun", 1, 6), ("feishu.upload.part", 1, 6), ("feishu.upload.part", 25, 50)),
    *(("feishu.upload.part", 6, 6), ("feishu.upload.after", 1, 6), ("publish.uploaded", 1, 6)),
    *(("publish.upload_noted", 1, 6), ("publish.written", 1, 6)),
]


@pytest.mark.parametrize(("place", "number", "parts"), PLACES)
async def test_a_large_video_is_sent_on_after_a_kill_and_no_part_but_the_last_twice(
    *, place, number, parts, user, tmp_path
):
    await accepted(user, tmp_path, parts * 4 * MIB)
    noted = await told(user, tmp_path, place, number)
    is_under_way = place not in ("feishu.upload.begun", "publish.upload_noted", "publish.written")
    assert len(noted) == is_under_way
    assert await told(user, tmp_path) == {}
    (row,) = user.rows()
    assert (row["状态"], row["输出视频"].endswith(".mp4")) == ("已完成", True)
    assert len(user.feishu.drive.uploaded(user.base.app)) == 1
    sent = [call for call in user.feishu.calls if (call.name, call.code) == ("media.part", 0)]
    assert len(sent) == parts + (place == "feishu.upload.part")


async def test_a_small_result_goes_up_once_at_whatever_step_publishing_is_killed(tmp_path):
    reached: Counter[str] = Counter()
    async with with_a_row(tmp_path / "first") as user:
        await accepted(user, tmp_path / "first", 1000)
        await told(user, tmp_path / "first", reached=reached)
    for place, number in steps_of(reached):
        folder = tmp_path / f"{place}-{number}"
        async with with_a_row(folder) as user:
            await accepted(user, folder, 1000)
            await told(user, folder, place, number)
            assert await told(user, folder) == {}, place
            (name,) = user.feishu.drive.uploaded(user.base.app)
            assert user.rows() == [{"产品名": "茶壶", "状态": "已完成", "输出视频": name}], place


async def test_a_result_that_the_document_does_not_know_goes_up_once_more_wherever_killed(
    tmp_path,
):
    reached: Counter[str] = Counter()
    async with with_a_row(tmp_path / "first") as user:
        await accepted(user, tmp_path / "first", 1000, foreign_token(user))
        await told(user, tmp_path / "first", reached=reached)
    for place, number in steps_of(reached):
        folder = tmp_path / f"{place}-{number}"
        async with with_a_row(folder) as user:
            await accepted(user, folder, 1000, foreign_token(user))
            await told(user, folder, place, number)
            assert await told(user, folder) == {}, place
            (name,) = user.feishu.drive.uploaded(user.base.app)
            assert user.rows() == [{"产品名": "茶壶", "状态": "已完成", "输出视频": name}], place
            publish = await noted(folder)
            shown = user.feishu.drive.media[publish.tokens[key_of(user)]]
            assert (publish.state, shown.name, publish.uploaded_anew) == ("published", name, ())


async def test_a_result_that_the_document_never_knows_is_refused_after_one_more_upload(
    user, tmp_path
):
    await accepted(user, tmp_path, 1000)
    user.feishu.fail("bitable.update", 1254027, times=99)
    await told(user, tmp_path)
    await told(user, tmp_path)
    assert len(user.feishu.drive.uploaded(user.base.app)) == 2
    publish = await noted(tmp_path)
    assert (publish.state, "1254027" in publish.error) == ("refused", True)


async def test_reconciling_puts_a_result_up_anew_that_the_document_has_lost(user, tmp_path):
    await accepted(user, tmp_path, 1000)
    await told(user, tmp_path)
    (lost,) = (await noted(tmp_path)).tokens.values()
    del user.feishu.drive.media[lost]
    user.base.rows[0].cells.pop(user.base.column("输出视频").field_id)
    ledger = Ledger(JsonDirBackend(tmp_path / "ledger"))
    await ledger.open()
    table = user.open()
    (handle,) = handles_of([table], Settings(tables=(user.settings,)), ledger, user.clock)
    for differing in (["输出视频"], []):
        found = await Reconciliation(handle, ledger, tmp_path.joinpath, user.clock).run()
        assert [each.column for each in found.differences] == differing
    await table.close()
    await ledger.close()
    (name,) = user.feishu.drive.uploaded(user.base.app)
    publish = await noted(tmp_path)
    assert user.feishu.drive.media[publish.tokens[key_of(user)]].name == name
    assert (user.rows()[0]["输出视频"], publish.uploaded_anew) == (name, ())


async def test_a_long_upload_delays_neither_new_rows_nor_other_results(user, tmp_path):
    await accepted(user, tmp_path, 21 * MIB)
    ledger = Ledger(JsonDirBackend(tmp_path / "ledger"))
    await ledger.open()
    table = user.open()
    (handle,) = handles_of([table], Settings(tables=(user.settings,)), ledger, user.clock)
    outbox = TableOutbox(handle, ledger, tmp_path.joinpath, user.clock)
    await outbox.load()
    began = user.clock.monotonic()
    new_rows_wait: list[bool] = []
    failpoint.arm(lambda _: new_rows_wait.append(handle.writing.locked()))
    await outbox.tell(at_once=True)
    failpoint.arm(None)
    assert new_rows_wait.count(False) >= 6  # while the parts are sent
    assert user.clock.monotonic() - began > 1.0
    (task,) = ledger.tasks()
    note = Overwritten(table="table", key=user.base.rows[0].record_id, task_id=task.task_id)
    ledger.subscribe(outbox.follow)
    await ledger.commit(note.as_meta(), op="row.overwritten")
    assert outbox.seconds_to_next() <= GATHER_SECONDS
    await table.close()
    await ledger.close()


async def test_notes_of_uploads_that_never_ended_go_when_they_are_a_day_old():
    clock, ledger = JumpingClock(), Ledger(MemoryBackend())
    await ledger.open()
    old, new = (Ongoing(ledger, key, clock, "table:table") for key in ("old", "new"))
    await old.note(Begun("u1", 4 * MIB, 9))
    clock.advance(LIFE.total_seconds() - 1)
    await old.note(Begun("u1", 4 * MIB, 9, 1))  # it goes on, and grows no younger
    await new.note(Begun("u2", 4 * MIB, 9))
    assert (old.begun, new.begun) == (Begun("u1", 4 * MIB, 9, 1), Begun("u2", 4 * MIB, 9))
    clock.advance(1)
    assert old.begun is None
    await new.note(Begun("u3", 4 * MIB, 9))
    assert set(ledger.meta(SECTION)) == {"new"}
    await ledger.commit(*new.removal(), op="task.uploaded")
    assert (new.begun, new.removal(), dict(ledger.meta(SECTION))) == (None, (), {})
    await ledger.close()
