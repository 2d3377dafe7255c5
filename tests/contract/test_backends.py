"""One suite over every kind of store: what ``ledger/backend.py`` promises."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from ledger.backend import Backend
from ledger.batch import Batch
from ledger.entry import CLAIMS, Meta, Transaction
from ledger.errors import Conflict, IllegalMove, LedgerClosed, LedgerLocked, UnknownRecord
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.slices import PART
from ledger.status import Stage, Status
from ledger.task import Metadata, Publish, Source, TableRow
from tests.fakes.records import AT, batch_record, task_record

FLOW = (Stage.SUBMITTING, Stage.QUEUED, Stage.RUNNING, Stage.COLLECTING, Stage.DONE)
TYPE = "图片合成"


@pytest.fixture(params=["memory", "jsondir"])
def backend(request, tmp_path) -> Backend:
    if request.param == "memory":
        return MemoryBackend()
    return JsonDirBackend(tmp_path / "ledger")


@pytest.fixture
async def ledger(backend):
    ledger = Ledger(backend)
    await ledger.open()
    yield ledger
    await ledger.close()


@pytest.fixture
def again(ledger) -> Callable[[], Awaitable[Ledger]]:
    async def reopened() -> Ledger:
        await ledger.close()
        await ledger.open()
        return ledger

    return reopened


async def test_what_was_committed_is_there_after_reopening(ledger, again):
    task = task_record(row={"颜色": "红", "n": 1.5, "deep": [{"a": None}]})
    await ledger.commit(
        batch_record(), task, Meta(section="drops", key="a", value={"x": 1}), op="a.b"
    )
    await ledger.commit(task.moved(Stage.SUBMITTING, at=AT, server="gpu-a"), op="a.b")
    ledger = await again()
    assert ledger.task(task.task_id) == task.moved(Stage.SUBMITTING, at=AT, server="gpu-a")
    assert ledger.batch("spring-abc234") == batch_record()
    assert ledger.meta("drops") == {"a": {"x": 1}}
    assert ledger.last_seq == 4


async def test_a_finished_task_reads_back_as_it_was_written(ledger, again):
    task = task_record()
    await ledger.commit(task, op="a.b")
    for stage in FLOW:
        task = task.moved(stage, at=AT, output_files=("a.png",))
        await ledger.commit(task, op="a.b")
    assert ledger.task(task.task_id) == task
    assert (await again()).task(task.task_id) == task


async def test_a_change_of_an_old_version_is_refused_and_nothing_of_it_written(ledger):
    task = task_record()
    await ledger.commit(task, op="a.b")
    await ledger.commit(task.changed(at=AT, priority=1), op="a.b")
    before = ledger.last_seq
    with pytest.raises(Conflict):
        await ledger.commit(task_record(2), task.changed(at=AT, priority=2), op="a.b")
    assert (ledger.last_seq, ledger.task(task.task_id).priority) == (before, 1)
    with pytest.raises(UnknownRecord):
        ledger.task(task_record(2).task_id)
    await ledger.commit(task_record(2), op="a.b")


async def test_of_two_changes_at_once_one_loses(ledger):
    task = task_record()
    await ledger.commit(task, op="a.b")
    outcomes = await asyncio.gather(
        *(ledger.commit(task.changed(at=AT, priority=n), op="a.b") for n in (1, 2)),
        return_exceptions=True,
    )
    assert [type(each) for each in outcomes] == [type(None), Conflict]
    assert ledger.task(task.task_id).priority == 1


async def test_a_new_record_begins_with_version_one(ledger):
    with pytest.raises(Conflict):
        await ledger.commit(task_record(version=2), op="a.b")
    with pytest.raises(Conflict):
        await ledger.commit(batch_record(version=7), op="a.b")


async def test_a_move_that_moves_lacks_is_refused(ledger):
    task = task_record()
    await ledger.commit(task, op="a.b")
    jump = task.changed(at=AT, stage=Stage.DONE, status=Status.DONE)
    with pytest.raises(IllegalMove):
        await ledger.commit(jump, op="a.b")
    with pytest.raises(IllegalMove):
        await ledger.commit(task.changed(at=AT, status=Status.FAILED), op="a.b")


async def test_a_task_never_changes_its_row_type_or_batch(ledger):
    task = task_record()
    await ledger.commit(task, op="a.b")
    with pytest.raises(Conflict):
        await ledger.commit(task.changed(at=AT, batch_id="other"), op="a.b")


async def test_a_family_has_one_open_task(ledger):
    first, second = task_record(1), task_record(2, row_id=task_record(1).row_id)
    await ledger.commit(first, op="a.b")
    with pytest.raises(Conflict):
        await ledger.commit(second, op="a.b")
    ended = first.moved(Stage.FAILED, at=AT)
    await ledger.commit(ended, second, op="task.retried")
    assert ledger.newest_of_family(*first.family) == second
    with pytest.raises(Conflict):
        await ledger.commit(task_record(3, row_id=first.row_id), op="a.b")


async def test_a_second_open_task_is_refused_while_the_first_is_still_being_written(ledger):
    first, second = task_record(1), task_record(2, row_id=task_record(1).row_id)
    outcomes = await asyncio.gather(
        ledger.commit(first, op="a.b"), ledger.commit(second, op="a.b"), return_exceptions=True
    )
    assert [type(each) for each in outcomes] == [type(None), Conflict]


async def test_a_retry_may_stand_before_the_note_on_its_forerunner(ledger):
    old = task_record(1)
    await ledger.commit(old, op="a.b")
    old = old.moved(Stage.FAILED, at=AT)
    await ledger.commit(old, op="a.b")
    new = task_record(2, row_id=old.row_id)
    one = ledger.commit(new, old.changed(at=AT, retry_count=1), op="task.retried")
    two = ledger.commit(task_record(3, row_id=old.row_id), op="task.retried")
    outcomes = await asyncio.gather(one, two, return_exceptions=True)
    assert [type(each) for each in outcomes] == [type(None), Conflict]


async def test_what_json_cannot_hold_is_refused_and_the_ledger_lives(ledger):
    with pytest.raises(ValueError, match="JSON"):
        await ledger.commit(task_record(product_name="\udc80"), op="a.b")
    with pytest.raises(ValueError, match="JSON"):
        await ledger.commit(task_record(), op="a.b", evidence={"x": object()})
    with pytest.raises(ValueError, match="JSON"):
        await ledger.commit(Meta(section="drops", key="a", value=2**80), op="a.b")
    await ledger.commit(task_record(), op="a.b")
    assert ledger.writable


async def test_listeners_hear_each_transaction_in_order_before_the_committer_goes_on(ledger):
    heard: list[str] = []

    def broken(_: Transaction) -> None:
        raise RuntimeError("not my day")

    ledger.subscribe(broken)
    unsubscribe = ledger.subscribe(lambda transaction: heard.append(transaction.op))
    await asyncio.gather(*(ledger.commit(task_record(n), op=f"task.made_{n}") for n in range(1, 6)))
    assert heard == [f"task.made_{n}" for n in range(1, 6)]
    unsubscribe()
    await ledger.commit(task_record(9), op="a.b")
    assert len(heard) == 5


async def test_a_listener_for_some_kinds_is_told_of_no_change_without_them(ledger):
    heard: list[tuple[str, str]] = []
    for name, kinds in (
        ("ends", (Stage.CANCELLED, Stage.FAILED)),
        ("batches", (Batch,)),
        ("notes", (Meta,)),
        ("all", ()),
    ):
        ledger.subscribe(lambda change, name=name: heard.append((name, change.op)), *kinds)
    task = task_record()
    await ledger.commit(task, batch_record(), op="accepted")
    await ledger.commit(task.moved(Stage.CANCELLED, at=AT), op="ended")
    await ledger.commit(Meta(section="drops", key="a", value=1), op="noted")
    assert heard == [
        ("batches", "accepted"),
        ("all", "accepted"),
        ("ends", "ended"),
        ("all", "ended"),
        ("notes", "noted"),
        ("all", "noted"),
    ]


async def test_a_read_sees_a_change_only_when_it_is_durable(ledger):
    under_way = asyncio.ensure_future(ledger.commit(task_record(), op="a.b"))
    await asyncio.sleep(0)
    assert list(ledger.tasks()) == []
    await under_way
    assert list(ledger.tasks()) == [task_record()]


async def test_a_cancelled_committer_spoils_neither_order_nor_versions(ledger):
    task = task_record()
    await ledger.commit(task, op="a.b")
    gone = asyncio.ensure_future(ledger.commit(task.changed(at=AT, priority=1), op="a.b"))
    await asyncio.sleep(0)
    gone.cancel()
    await ledger.commit(task_record(2), op="a.b")  # comes after it, so it is settled by now
    assert ledger.task(task.task_id).version == 2
    await ledger.commit(ledger.task(task.task_id).changed(at=AT, priority=5), op="a.b")


async def test_ids_are_never_given_twice(ledger, again):
    first = ledger.new_task_ids(TYPE, AT, 2)
    assert first == ["img_20261121_000001", "img_20261121_000002"]
    assert ledger.new_task_ids("图生视频", AT) == ["vid_20261121_000001"]
    assert ledger.new_task_ids("My Video", AT) == ["vid_20261121_000002"]
    assert ledger.new_task_ids(TYPE, "2026-11-22T00:00:00.000Z") == ["img_20261122_000001"]
    third = ledger.new_task_ids(TYPE, AT)[0]
    await ledger.commit(task_record(3, task_id=third), op="a.b")
    ledger = await again()
    assert ledger.new_task_ids(TYPE, AT) == ["img_20261121_000004"]
    assert ledger.meta("counters") == {"img_20261121": 3}


async def test_a_large_transaction_does_not_hold_the_loop_and_shows_its_batch_last(ledger):
    tasks = [task_record(n) for n in range(1, 3501)]
    commit = asyncio.ensure_future(ledger.commit(batch_record(), *tasks, op="batch.accepted"))
    rounds = 0
    while not commit.done():
        if ledger.index.batch_ids():
            assert ledger.counts("spring-abc234")[Stage.WAITING] == 3500
        await asyncio.sleep(0)
        rounds += 1
    await commit
    assert rounds > 6
    assert [each.task_id for each in ledger.tasks()] == [each.task_id for each in tasks]


async def test_listeners_hear_of_a_large_transaction_in_parts_once_all_of_it_can_be_read(ledger):
    tasks = [task_record(n) for n in range(1, 2501)]
    parts: list[list[str]] = []

    def listen(transaction):
        assert ledger.counts("spring-abc234")[Stage.WAITING] == 2500
        assert [batch.batch_id for batch in ledger.batches()] == ["spring-abc234"]
        parts.append([record.record_id for record in transaction.records])

    ledger.subscribe(listen)
    await ledger.commit(batch_record(), *tasks, op="batch.accepted")
    assert [len(part) for part in parts] == [PART] * 25 + [1]
    heard = [record_id for part in parts for record_id in part]
    assert heard == [*(task.task_id for task in tasks), "spring-abc234"]


async def test_a_large_transaction_cancelled_while_it_is_checked_or_counted_in_is_whole_or_absent(
    ledger,
):
    tasks = [task_record(n) for n in range(1, 3001)]
    counts = set()
    for rounds in (1, 2, 4, 8, 16, 32):
        commit = asyncio.ensure_future(ledger.commit(*tasks, op="large.made"))
        for _ in range(rounds):
            await asyncio.sleep(0)
        commit.cancel()
        await asyncio.wait([commit])
        await ledger.commit(batch_record(f"b-{rounds}"), op="a.b")  # it waits for what is under way
        counts.add(ledger.counts()[Stage.WAITING])
        if counts == {3000}:
            break
    assert counts <= {0, 3000}
    if 3000 not in counts:
        await ledger.commit(*tasks, op="large.made")
    changed = [task.changed(at=AT) for task in tasks]
    await ledger.commit(*changed, op="large.changed")  # nothing of it is left half counted in
    assert ledger.counts()[Stage.WAITING] == 3000


async def test_changes_after_a_large_transaction_wait_for_it(ledger):
    tasks = [task_record(n) for n in range(1, 2501)]
    heard: list[str] = []
    ledger.subscribe(lambda transaction: heard.append(transaction.op))  # in parts
    await asyncio.gather(
        ledger.commit(*tasks, op="large.made"), ledger.commit(task_record(9000), op="small.made")
    )
    assert heard == [*["large.made"] * (len(tasks) // PART), "small.made"]


async def test_finished_rows_leave_for_the_archive_and_are_still_found(ledger, again):
    source = Source(kind="inbox", name="spring.csv", fingerprint="f" * 64)
    metadata = task_record().metadata.__class__(source=source)
    old = task_record(1, metadata=metadata)
    young = task_record(2)
    await ledger.commit(batch_record(), old, young, op="a.b")
    ended = old.moved(Stage.FAILED, at=AT)
    await ledger.commit(ended, op="a.b")
    now = datetime(2027, 1, 15, tzinfo=UTC)
    assert await ledger.archive_finished(datetime(2026, 12, 1, tzinfo=UTC)) == 0
    assert await ledger.archive_finished(now) == 1
    for _ in range(2):
        with pytest.raises(UnknownRecord):
            ledger.task(old.task_id)
        assert await ledger.find_archived(old.task_id) == ended
        assert ledger.was_accepted("f" * 64)
        assert not ledger.was_accepted("e" * 64)
        assert [each.task_id for each in ledger.tasks("spring-abc234")] == [young.task_id]
        assert ledger.counts()[Stage.FAILED] == 0
        assert ledger.new_task_ids(TYPE, AT)[0] > young.task_id
        ledger = await again()
    unknown = "img_20200101_000001"
    assert await ledger.find_archived(unknown) is None
    found = await ledger.find_all_archived([old.task_id, unknown])
    assert (found.tasks, found.damage) == ({old.task_id: ended}, ())
    assert (await ledger.find_all_archived((), [old.row_id, young.row_id])).tasks == found.tasks


async def test_a_batch_whose_rows_all_left_counts_none_and_takes_in_others(ledger, again):
    tasks = [task_record(number) for number in (1, 2, 3)]
    await ledger.commit(batch_record(), *tasks, op="a.b")
    await ledger.commit(*(task.moved(Stage.FAILED, at=AT) for task in tasks), op="a.b")
    assert await ledger.archive_finished(datetime(2027, 1, 15, tzinfo=UTC)) == 3
    for number in (4, 5):
        index = ledger.index
        assert (list(ledger.tasks()), index.failed_ids("spring-abc234")) == ([], ())
        assert not any(index.counts("spring-abc234").values())
        assert not index.family_counts("spring-abc234")
        await ledger.commit(late := task_record(number), op="a.b")
        assert list(ledger.tasks("spring-abc234")) == index.in_stage(Stage.WAITING) == [late]
        assert list(index.waiting("spring-abc234", TYPE)) == [late]
        await ledger.commit(late.moved(Stage.FAILED, at=AT), op="a.b")
        assert index.counts("spring-abc234")[Stage.FAILED] == 1
        assert await ledger.archive_finished(datetime(2027, 1, 15, tzinfo=UTC)) == 1
        ledger = await again()


async def test_a_row_that_something_open_depends_on_is_not_archived(ledger):
    image = task_record(1)
    video = task_record(
        2, row_id=image.row_id, workflow_type="图生视频", depends_on=None, version=1
    )
    await ledger.commit(batch_record(), image, video, op="a.b")
    await ledger.commit(image.moved(Stage.FAILED, at=AT), op="a.b")
    assert await ledger.archive_finished(datetime(2027, 1, 15, tzinfo=UTC)) == 0


async def test_after_closing_nothing_is_written(ledger):
    await ledger.close()
    assert not ledger.writable
    with pytest.raises(LedgerClosed):
        await ledger.commit(task_record(), op="a.b")
    await ledger.open()
    assert list(ledger.tasks()) == []


async def test_what_is_under_way_at_closing_is_written(ledger):
    commits = [asyncio.ensure_future(ledger.commit(task_record(n), op="a.b")) for n in range(1, 9)]
    await asyncio.sleep(0)
    await ledger.close()
    await asyncio.gather(*commits)
    await ledger.open()
    assert len(list(ledger.tasks())) == 8


async def test_a_store_is_opened_once_at_a_time(backend, ledger):
    with pytest.raises(LedgerLocked):
        await backend.open(lambda *_: None, lambda *_: None)
    await ledger.commit(task_record(), op="a.b")


async def test_compacting_loses_nothing(ledger, again):
    await ledger.commit(*(task_record(n) for n in range(1, 9)), op="a.b")
    await ledger.compact()
    await ledger.commit(task_record(9), op="a.b")
    await ledger.compact()
    assert len(list((await again()).tasks())) == 9


async def test_what_a_table_must_be_told_is_known_until_it_was_told(ledger, again):
    row = TableRow(table="spring", key="img_20261121_000001", workflow_types=(TYPE,))
    told = task_record(1, publish=Publish(state="pending"), metadata=Metadata(table_row=row))
    await ledger.commit(told, task_record(2), op="a.b")
    for stage in FLOW:
        told = told.moved(stage, at=AT)
        await ledger.commit(told, op="a.b")
        assert ledger.unpublished("spring") == [told.task_id]
    told = told.changed(at=AT, publish=Publish(state="published", tokens={"doc:1": "t"}))
    await ledger.commit(told, op="a.b")
    assert ledger.unpublished("spring") == []
    assert (await again()).unpublished("spring") == []
    retried = task_record(3, publish=told.publish.due(), metadata=told.metadata)
    await ledger.commit(retried, op="a.b")
    assert (await again()).unpublished("spring") == [retried.task_id]
    assert ledger.task(retried.task_id).publish.tokens == {"doc:1": "t"}


def test_no_table_hears_of_a_task_that_came_from_none():
    assert task_record().moved(Stage.SUBMITTING, at=AT).publish == Publish()


async def test_the_ids_of_a_claim_are_given_to_nobody_else_even_when_it_came_to_nothing(
    ledger, again
):
    (first,) = ledger.new_task_ids(TYPE, AT)
    await ledger.commit(Meta(section=CLAIMS, key=first, value={"task_ids": [first]}), op="a.b")
    await ledger.commit(Meta(section=CLAIMS, key=first, value=None), op="a.b")
    ledger = await again()
    assert not ledger.meta(CLAIMS)
    assert ledger.new_task_ids(TYPE, AT) != [first]
