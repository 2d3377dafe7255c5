"""What operators asked for a prompt is carried out, whatever the server or a crash does meanwhile.

Against both generations of the server. The follower polls once an hour here: what happens, happens
because the intent was committed.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from config.settings import Server, Workflow
from daemon.clock import SystemClock
from daemon.comfy.client import ComfyClient
from daemon.comfy.server import State
from daemon.comfy.simulator import Simulator
from daemon.follow.follower import Follower
from daemon.settle.settlement import Settlement, ticket_of
from ledger.entry import Meta
from ledger.ledger import Ledger
from ledger.memory import MemoryBackend
from ledger.status import Stage
from ledger.task import Task
from tests.fakes.records import AT, batch_record, task_record

CLIENT_ID = "c" * 32
HOUR = 3600.0
TYPE = "图片合成"


def graph(prefix: str) -> dict[str, dict[str, object]]:
    size = {"width": 8, "height": 8, "batch_size": 1, "color": 0}
    return {
        "10": {"class_type": "EmptyImage", "inputs": size},
        "40": {
            "class_type": "SaveImage",
            "inputs": {"images": ["10", 0], "filename_prefix": f"{prefix}/40"},
        },
    }


class Shop:
    """A server, a ledger, and the follower that can be killed and started."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.clock = SystemClock()
        self.ledger = Ledger(MemoryBackend())
        self.client = ComfyClient("gpu-a", simulator.url, clock=self.clock)
        self.settings = Server(
            name="gpu-a", url=simulator.url, poll_seconds=HOUR, settle_seconds=0.05
        )
        workflow = Workflow(template=Path("none.json"), max_auto_retries=2)
        self.settlement = Settlement(self.ledger, self.clock, {TYPE: workflow}, lambda _: ())
        self._services: list[asyncio.Task[None]] = []
        self._stop = asyncio.Event()

    async def open(self) -> "Shop":
        await self.ledger.open()
        known = Meta(section="servers", key="gpu-a", value={"client_id": CLIENT_ID})
        await self.ledger.commit(batch_record(), known, op="batch.accepted")
        return self

    async def close(self) -> None:
        self._stop.set()
        await asyncio.gather(*self._services)
        await self.client.close()

    def follow(self) -> None:
        follower = Follower(self.client, self.settings, self.ledger, self.settlement, self.clock)
        for service in (follower, follower.news):
            self._services.append(asyncio.create_task(service.run(self._stop)))

    async def inside(self, number: int, seen: State, *, stage: Stage | None = None) -> str:
        """Submit a task and return its id once the server shows its prompt as *seen*."""
        task = task_record(number)
        await self.ledger.commit(task, op="row.accepted")
        sent = task.moved(
            Stage.SUBMITTING,
            at=AT,
            server="gpu-a",
            attempt=1,
            comfyui_task_id=str(uuid.uuid4()),
        )
        await self.ledger.commit(sent, op="task.submitting")
        await self.client.submit(graph(sent.output_prefix), ticket_of(sent), CLIENT_ID)
        await self.shown(sent, seen)
        if stage is None:
            stage = Stage.RUNNING if seen is State.RUNNING else Stage.QUEUED
        if stage is not Stage.SUBMITTING:
            await self.ledger.commit(sent.moved(stage, at=AT), op="task.followed")
        return task.task_id

    async def shown(self, task: Task, seen: State) -> None:
        async with asyncio.timeout(10):
            while await self.sighted(task) is not seen:
                await asyncio.sleep(0.01)  # another process' state: there is nothing to wait on

    async def sighted(self, task: Task) -> State:
        return (await self.client.look_up([ticket_of(task)]))[task.comfyui_task_id or ""].state

    async def ask(self, task_id: str, intent: str) -> Task:
        asked = self.ledger.task(task_id).changed(at=AT, requested=intent, requested_by="cli:anna")
        await self.ledger.commit(asked, op="task.requested")
        return asked

    async def until(self, task_id: str, holds: Callable[[Task], bool]) -> Task:
        changed = asyncio.Event()
        unsubscribe = self.ledger.subscribe(lambda _: changed.set())
        try:
            async with asyncio.timeout(10):
                while not holds(self.ledger.task(task_id)):
                    changed.clear()
                    await changed.wait()
        finally:
            unsubscribe()
        return self.ledger.task(task_id)

    async def expect_end(self, task_id: str, stage: Stage) -> Task:
        task = await self.until(task_id, lambda task: task.stage is stage)
        by = "cli:anna" if stage is Stage.CANCELLED else None
        assert (task.requested, task.requested_by) == (None, by)
        return task


@pytest.fixture(params=["0.3.64", "0.33.0"])
async def shop(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shop]:
    async with Simulator(
        tmp_path / "server", version=request.param, seconds_per_job=30
    ) as simulator:
        opened = await Shop(simulator).open()
        yield opened
        await opened.close()


async def test_a_waiting_prompt_is_cancelled_at_once_and_the_others_stay(shop: Shop) -> None:
    runs = await shop.inside(1, State.RUNNING, stage=Stage.QUEUED)
    waits = await shop.inside(2, State.PENDING)
    stays = await shop.inside(3, State.PENDING)
    shop.follow()
    await shop.until(runs, lambda task: task.stage is Stage.RUNNING)  # the poll of this hour
    asked = await shop.ask(waits, "cancel")
    await shop.expect_end(waits, Stage.CANCELLED)
    assert await shop.sighted(asked) is State.ABSENT
    assert await shop.sighted(shop.ledger.task(runs)) is State.RUNNING
    assert await shop.sighted(shop.ledger.task(stays)) is State.PENDING


async def test_a_running_prompt_is_interrupted_and_the_next_one_goes_on(shop: Shop) -> None:
    runs = await shop.inside(1, State.RUNNING, stage=Stage.QUEUED)
    next_one = await shop.inside(2, State.PENDING)
    shop.follow()
    await shop.until(runs, lambda task: task.stage is Stage.RUNNING)
    await shop.ask(runs, "cancel")
    await shop.expect_end(runs, Stage.CANCELLED)
    await shop.shown(shop.ledger.task(next_one), State.RUNNING)


async def test_a_queued_prompt_is_taken_back_and_what_runs_is_not_interrupted(shop: Shop) -> None:
    runs = await shop.inside(1, State.RUNNING)
    waits = await shop.inside(2, State.PENDING)
    shop.follow()
    asked = await shop.ask(waits, "take_back")
    task = await shop.expect_end(waits, Stage.WAITING)
    assert (task.server, task.comfyui_task_id, task.attempt) == (None, None, 1)
    assert await shop.sighted(asked) is State.ABSENT
    assert await shop.sighted(shop.ledger.task(runs)) is State.RUNNING


async def test_a_prompt_that_began_before_it_was_taken_back_runs_on_and_the_intent_is_void(
    shop: Shop,
) -> None:
    runs = await shop.inside(1, State.RUNNING, stage=Stage.QUEUED)
    shop.follow()
    asked = await shop.ask(runs, "take_back")
    await shop.expect_end(runs, Stage.RUNNING)
    assert await shop.sighted(asked) is State.RUNNING


async def test_a_running_prompt_is_reset_to_wait_for_a_new_attempt(shop: Shop) -> None:
    runs = await shop.inside(1, State.RUNNING)
    shop.follow()
    await shop.ask(runs, "reset")
    task = await shop.expect_end(runs, Stage.WAITING)
    assert (task.error_kind, task.lost_by_server) == (None, 0)


@pytest.mark.parametrize("intent", ["cancel", "take_back", "reset"])
async def test_what_finished_meanwhile_is_collected(shop: Shop, intent: str) -> None:
    shop.simulator.pace.seconds_per_job = 0.0
    done = await shop.inside(1, State.SUCCEEDED)
    shop.follow()
    await shop.ask(done, intent)
    task = await shop.expect_end(done, Stage.COLLECTING)
    assert len(task.outputs) == 1


@pytest.mark.parametrize(
    ("intent", "stage"),
    [("cancel", Stage.CANCELLED), ("take_back", Stage.WAITING), ("reset", Stage.WAITING)],
)
async def test_after_a_crash_before_its_execution_an_intent_is_carried_out_at_the_start(
    shop: Shop, intent: str, stage: Stage
) -> None:
    await shop.inside(1, State.RUNNING)
    waits = await shop.inside(2, State.PENDING)
    await shop.ask(waits, intent)
    shop.follow()
    await shop.expect_end(waits, stage)


@pytest.mark.parametrize(
    ("intent", "stage"),
    [("cancel", Stage.CANCELLED), ("take_back", Stage.WAITING), ("reset", Stage.WAITING)],
)
async def test_after_a_crash_between_the_servers_deed_and_our_commit_the_end_is_the_same(
    shop: Shop, intent: str, stage: Stage
) -> None:
    runs = await shop.inside(1, State.RUNNING)
    waits = await shop.inside(2, State.PENDING)
    for task_id in (waits, runs):
        asked = await shop.ask(task_id, intent)
        await shop.client.cancel(ticket_of(asked))
    await shop.shown(shop.ledger.task(runs), State.INTERRUPTED)
    shop.follow()
    await shop.expect_end(waits, stage)
    await shop.expect_end(runs, stage)


@pytest.mark.parametrize(
    ("intent", "stage"),
    [("cancel", Stage.CANCELLED), ("take_back", Stage.WAITING), ("reset", Stage.WAITING)],
)
async def test_a_server_that_forgot_everything_leaves_what_was_asked_for(
    shop: Shop, intent: str, stage: Stage
) -> None:
    runs = await shop.inside(1, State.RUNNING)
    await shop.ask(runs, intent)
    await shop.simulator.restart()
    shop.follow()
    await shop.expect_end(runs, stage)


async def test_an_intent_waits_for_a_server_that_does_not_answer(shop: Shop) -> None:
    runs = await shop.inside(1, State.RUNNING)
    await shop.simulator.stop()
    shop.settings = Server(
        name="gpu-a", url=shop.simulator.url, poll_seconds=0.05, settle_seconds=0.05
    )
    shop.follow()
    asked = await shop.ask(runs, "cancel")
    assert shop.ledger.task(runs) == asked
    await shop.simulator.start()
    await shop.expect_end(runs, Stage.CANCELLED)


async def test_a_submission_whose_answer_was_lost_is_cancelled_once_it_is_found(
    shop: Shop,
) -> None:
    await shop.inside(1, State.RUNNING)
    lost = await shop.inside(2, State.PENDING, stage=Stage.SUBMITTING)
    asked = await shop.ask(lost, "cancel")
    shop.follow()
    await shop.settlement.settle(shop.client, shop.settings, [asked])  # as the lane does
    await shop.expect_end(lost, Stage.CANCELLED)


async def test_a_submission_that_never_arrived_is_cancelled_when_it_has_settled(
    shop: Shop,
) -> None:
    await shop.ledger.commit(task_record(1), op="row.accepted")
    sent = task_record(1).moved(
        Stage.SUBMITTING, at=AT, server="gpu-a", attempt=1, comfyui_task_id=str(uuid.uuid4())
    )
    await shop.ledger.commit(sent, op="task.submitting")
    asked = await shop.ask(sent.task_id, "cancel")
    settled = await shop.settlement.settle(shop.client, shop.settings, [asked])
    assert settled.look_again_in_seconds is not None
    assert shop.ledger.task(sent.task_id) == asked
    await shop.clock.pause(settled.look_again_in_seconds)
    settled = await shop.settlement.settle(shop.client, shop.settings, [asked])
    assert settled.submit_again == []
    assert shop.ledger.task(sent.task_id).stage is Stage.CANCELLED


async def test_a_failure_that_came_before_the_cancel_is_not_tried_again(shop: Shop) -> None:
    shop.simulator.faults.next("execution_error")
    shop.simulator.pace.seconds_per_job = 0.0
    failed = await shop.inside(1, State.FAILED)
    shop.follow()
    await shop.ask(failed, "cancel")
    task = await shop.expect_end(failed, Stage.FAILED)
    assert task.error_kind == "execution_error"
