"""Whatever comes at once, the loop goes on: signals, HTTP and progress do not wait for it."""

import asyncio
import gc
import tracemalloc
from pathlib import Path

from PIL import Image

from daemon.actions.performing import perform
from daemon.actions.plan import Planning
from daemon.actions.rerunning import Wish, rerun
from daemon.actions.tasks import retry_failed
from daemon.clock import SystemClock
from daemon.dispatch.ready import ReadyRows
from daemon.intake.drops import find_drops
from daemon.settle.streaks import Streaks
from daemon.upkeep.batches import BatchKeeper
from daemon.upkeep.completion import Completion
from daemon.upkeep.outcome import Endings
from ledger.batch import BatchStatus
from ledger.jsondir.store import JsonDirBackend
from ledger.ledger import Ledger
from ledger.shelf import decode_task, encode_task
from ledger.status import Stage
from ledger.task import InputFile, Metadata, Source, Task
from tests.bench.ledger_records import BATCH, write_ledger
from tests.fakes.clock import QuickClock
from tests.fakes.door import open_door
from tests.fakes.loop_lag import HELD_SECONDS, WORST_SHARE, LoopLag
from tests.fakes.records import batch_record, task_record
from tests.fakes.waiting import until
from tests.fakes.world import World
from tests.unit.actions.house import row, video_of
from tests.unit.intake.house import House


def as_accepted(number: int) -> Task:
    source = Source(kind="inbox", name="spring.csv", line=number, fingerprint=f"{number:064}")
    picture = InputFile(name="a.png", sha256="f" * 64, size_bytes=1)
    return task_record(
        number,
        row={"prompt": f"picture {number}"},
        inputs={"product_image": picture},
        metadata=Metadata(source=source),
    )


async def test_the_loop_goes_on_while_a_very_large_transaction_is_written_and_told(tmp_path):
    ledger = Ledger(JsonDirBackend(tmp_path / "ledger"))
    await ledger.open()
    takes_work = frozenset({"gpu-a"}).__contains__
    ready = ReadyRows(
        ledger, SystemClock(), stage_order=False, affinity=True, takes_work=takes_work
    )
    await ready.load()
    ledger.subscribe(ready.follow)
    tasks = [as_accepted(number) for number in range(1, 50_001)]
    async with LoopLag() as lag:
        await ledger.commit(batch_record(), *tasks, op="batch.accepted")
        await ledger.close()
    assert ledger.counts()[Stage.WAITING] == 50_000
    assert lag.worst_share < WORST_SHARE


async def test_the_loop_goes_on_while_a_drop_of_ten_thousand_rows_is_taken_in(tmp_path):
    house = House(tmp_path, JsonDirBackend(tmp_path / "ledger"))
    await house.ledger.open()
    rows = [f"product {n},m,图片合成,p.png,m.png" for n in range(10_000)]
    house.folder_drop("big", *rows)
    async with LoopLag() as lag:
        await house.take_in()
        await house.ledger.close()
    assert house.ledger.counts()[Stage.WAITING] == 10_000
    assert lag.worst_share < WORST_SHARE


async def test_the_loop_goes_on_while_a_batch_of_ten_thousand_rows_is_run_again(tmp_path):
    ledger = Ledger(JsonDirBackend(tmp_path / "ledger"))
    await ledger.open()
    tasks = [as_accepted(number) for number in range(1, 10_001)]
    await ledger.commit(batch_record(), *tasks, op="batch.accepted")

    def plan() -> Planning:
        wish = Wish(batch_id="spring-def567", at=tasks[0].created_at)
        return rerun(ledger, batch_record().batch_id, wish, input_path=lambda _: Path(__file__))

    async with LoopLag() as lag:
        await perform(ledger, plan, actor="api")
        await ledger.close()
    assert ledger.counts("spring-def567")[Stage.WAITING] == 10_000
    assert lag.worst_share < WORST_SHARE


async def test_the_loop_goes_on_while_thousands_of_failed_rows_are_retried(tmp_path: Path) -> None:
    ledger = await ledger_of_blocked_rows(tmp_path / "ledger", videos=1000)
    batch_id = batch_record().batch_id

    def path_of(_: str) -> Path:
        return Path(__file__)

    def plan() -> Planning:
        at = batch_record().created_at
        return retry_failed(ledger, batch_id, at=at, input_path=path_of, output_path=path_of)

    async with LoopLag() as lag:
        await perform(ledger, plan, actor="api")
        await ledger.close()
    assert ledger.counts(batch_id)[Stage.WAITING] == 21_000
    assert ledger.index.blocked_counts(batch_id)[2] == 0
    assert lag.held_seconds < HELD_SECONDS


async def test_the_loop_goes_on_while_thousands_of_job_files_are_looked_at(tmp_path):
    house = House(tmp_path, JsonDirBackend(tmp_path / "ledger"))
    await house.ledger.open()
    Image.new("RGB", (8, 8)).save(house.path / "p.png")
    for number in range(5_000):
        house.make(f"{number:05}.csv", f"产品名,产品图,模特图\nx{number},p.png,no.png\n")
    async with LoopLag() as lag:
        for _ in range(4):
            scan = await house.inbox.scan_once()
            house.clock.passed += 5
        await house.ledger.close()
    assert scan.settling == 5_000  # they wait for a picture
    assert lag.worst_share < WORST_SHARE


async def ledger_of_blocked_rows(folder: Path, videos: int = 20_000) -> Ledger:
    ledger = Ledger(JsonDirBackend(folder))
    await ledger.open()
    pictures = [row(number, Stage.FAILED) for number in range(1, 20_001)]
    blocked = [
        video_of(each, 50_000 + n, blocked_by="x") for n, each in enumerate(pictures[:videos])
    ]
    await ledger.commit(batch_record(), *pictures, *blocked, op="batch.accepted")
    return ledger


async def test_the_loop_goes_on_while_thousands_of_blocked_rows_are_looked_at(tmp_path):
    ledger = await ledger_of_blocked_rows(tmp_path / "ledger")
    stop = asyncio.Event()
    stop.set()
    async with LoopLag() as lag:
        await BatchKeeper(ledger, SystemClock(), Streaks(ledger, 10)).run(stop)
    assert ledger.batch(batch_record().batch_id).status is BatchStatus.COMPLETED
    await ledger.close()
    assert lag.worst_share < WORST_SHARE


async def test_the_loop_goes_on_while_a_run_that_ends_by_itself_looks_for_work_left(tmp_path):
    ledger = await ledger_of_blocked_rows(tmp_path / "ledger")
    await ledger.compact()
    stop = asyncio.Event()
    async with LoopLag() as lag:
        await Completion(ledger, Endings(), [], QuickClock(speed=10)).run(stop)
    assert stop.is_set()
    await ledger.close()
    assert lag.worst_share < WORST_SHARE


async def test_the_loop_goes_on_while_a_daemon_starts_with_tens_of_thousands_of_waiting_rows(
    tmp_path: Path,
) -> None:
    world = World(tmp_path / "world", "http://127.0.0.1:9")
    write_ledger(world.ledger, 35_000, waiting_tasks=30_000)
    async with LoopLag() as lag, open_door(world) as door:
        assert door.ledger.counts()[Stage.WAITING] == 30_000
        await until(lambda: door.ledger.batch(BATCH).held)  # all have had their first turn
    assert lag.held_seconds < HELD_SECONDS


async def test_the_loop_goes_on_while_one_begins_to_listen_to_thousands_of_batches(tmp_path):
    async with open_door(World(tmp_path / "world", "http://127.0.0.1:9")) as door:
        await accept_paused(5_000, door.ledger)
        async with LoopLag() as lag, door.session.get(door.url + "/api/events") as stream:
            told = bytearray()
            while not (told.endswith(b"\n\n") and b"event: snapshot" in told):
                told += await stream.content.readany()
    assert told.count(b'"batch_id":"job-') >= 5_000
    assert lag.worst_share < WORST_SHARE


async def accept_paused(count: int, ledger: Ledger) -> None:
    records = [batch_record(f"job-{n:06}", status=BatchStatus.PAUSED) for n in range(count)]
    rows = [task_record(n, batch_id=each.batch_id) for n, each in enumerate(records)]
    await ledger.commit(*records, *rows, op="test")
    await ledger.compact()
    await asyncio.sleep(1)  # let the other steps look at them


async def test_thousands_of_batches_are_answered_and_counted_without_all_of_them_in_memory(
    tmp_path,
):
    async with open_door(World(tmp_path / "world", "http://127.0.0.1:9")) as door:
        await accept_paused(5_000, door.ledger)
        for path, ids in (("/api/batches", 5_000), ("/api/status", 5_000), ("/metrics", 0)):
            tracemalloc.start()  # it takes three times as long to be watched
            told = 0
            async with door.session.get(door.url + path) as answer:
                async for piece in answer.content.iter_any():
                    told += piece.count(b'"batch_id":"job-')
            _, peak_bytes = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert answer.status == 200
            assert ids * 0.99 <= told <= ids  # some may be cut in two
            assert peak_bytes < 2_000_000
            async with LoopLag() as lag:
                await door.ask("GET", path)
            assert lag.held_seconds < HELD_SECONDS
        for _ in range(2):  # on one connection
            assert (await door.ask("HEAD", "/api/batches")).body == b""


def test_records_and_what_the_inbox_remembers_of_files_are_unknown_to_the_garbage_collector(
    tmp_path: Path,
):
    task = as_accepted(1)
    for each in (task, decode_task(encode_task(task))):
        parts = (each, each.row, each.inputs, each.parameters, each.outputs, each.output_files)
        more = (each.metadata, each.metadata.source, each.metadata.ran_out_on, each.publish)
        assert [part for part in (*parts, *more) if gc.is_tracked(part)] == []
    (tmp_path / "a.csv").write_text("x")
    (place,) = find_drops(tmp_path).places
    assert not gc.is_tracked(place)
    assert not gc.is_tracked(place.sight)
