"""The status check tells how each task in process really stands, and changes nothing."""

import pytest

from daemon.comfy.server import State
from daemon.upkeep.diagnosis import Limits
from daemon.upkeep.status_check import status_check
from daemon.words import Words
from ledger.batch import BatchStatus
from ledger.entry import Meta
from ledger.status import Stage
from tests.unit.upkeep.conftest import WORKFLOWS, House, minutes_ago


async def test_a_task_that_no_server_knows_is_not_in_the_executors_list(house, words) -> None:
    task = await house.task(age=45.5)
    check = await house.stuck().check(words)
    (shown,) = check.running_tasks
    assert (shown.id, shown.is_active, shown.is_actually_running) == (task.task_id, True, False)
    assert shown.last_run_time == task.started_at
    assert "任务不在执行器运行列表中" in (shown.stuck_reason or "")
    assert [each.id for each in check.stuck_tasks] == [task.task_id]
    assert (check.total_running, check.total_stuck) == (1, 1)
    assert check.message == "检查完成：运行中任务 1 个，卡住任务 1 个"


async def test_a_task_that_runs_within_its_limit_is_not_stuck(house, words) -> None:
    house.simulator.pace.seconds_per_job = 30
    task = await house.task(age=12)
    await house.until(await house.inside(task), State.RUNNING)
    (shown,) = (await house.stuck().check(words)).running_tasks
    assert (shown.is_actually_running, shown.stuck_reason) == (True, None)
    assert shown.runtime_minutes == pytest.approx(12, abs=0.2)


async def test_the_limit_is_the_asked_one_else_the_workflows_else_the_default(house, words) -> None:
    house.simulator.pace.seconds_per_job = 30
    task = await house.task(age=31)
    await house.until(await house.inside(task), State.RUNNING)
    stuck = house.stuck()
    assert (await stuck.check(words)).total_stuck == 1  # the workflow's 30
    assert (await stuck.check(words, max_runtime_minutes=32)).total_stuck == 0
    assert (await house.stuck(workflows={}, default_minutes=40).check(words)).total_stuck == 0
    (reason,) = [each.stuck_reason for each in (await stuck.check(Words("en"))).stuck_tasks]
    assert reason == "it has run for 31.0 minutes, the limit is 30"


async def test_waiting_in_the_servers_queue_is_no_runtime(house, words) -> None:
    house.simulator.pace.seconds_per_job = 30
    first = await house.task(age=1)
    await house.until(await house.inside(first), State.RUNNING)
    waiting = await house.task(Stage.QUEUED, age=600)
    await house.inside(waiting)
    shown = (await house.stuck().check(words)).running_tasks[1]
    assert (shown.id, shown.is_actually_running) == (waiting.task_id, True)
    assert (shown.runtime_minutes, shown.stuck_reason) == (0.0, None)


async def test_a_task_that_ended_long_ago_is_told_as_ended(house, words) -> None:
    task = await house.task()
    await house.until(await house.inside(task), State.SUCCEEDED)
    now = house.clock.now
    assert (await house.stuck().check(words)).total_stuck == 0  # the follower may be on its way

    class Later(type(house.clock)):
        def now(self):
            return now().replace(year=now().year + 1)

    house.clock = Later()
    (shown,) = (await house.stuck().check(words)).running_tasks
    assert shown.is_actually_running is False
    assert "succeeded" in (shown.stuck_reason or "")


async def test_a_server_that_does_not_answer_makes_its_tasks_unknown(house, words) -> None:
    await house.task()
    memory = {"unreachable_since": minutes_ago(12)}
    await house.ledger.commit(Meta(section="servers", key="gpu-a", value=memory), op="server.noted")
    await house.simulator.stop()
    (shown,) = (await house.stuck().check(words)).running_tasks
    assert shown.is_actually_running is None
    assert shown.stuck_reason == "服务器 gpu-a 已 12.0 分钟没有应答，任务情况未知"


async def test_a_task_of_a_server_that_left_the_settings_is_unknown(house, words) -> None:
    await house.task(server="gpu-z")
    (shown,) = (await house.stuck().check(words)).running_tasks
    assert shown.is_actually_running is None
    assert "gpu-z" in (shown.stuck_reason or "")


async def test_a_running_task_without_news_for_long_is_told(house, words) -> None:
    house.simulator.pace.seconds_per_job = 30
    task = await house.task(age=20)
    await house.until(await house.inside(task), State.RUNNING)
    silence = {task.comfyui_task_id: 11 * 60.0}
    (shown,) = (await house.stuck(progress_age_seconds=silence.get).check(words)).running_tasks
    assert shown.is_actually_running is True
    assert shown.stuck_reason == "在 gpu-a 上运行，但已 11.0 分钟没有进展"


async def test_results_that_do_not_arrive_are_told(house, words) -> None:
    await house.task(Stage.COLLECTING, age=10)
    late = await house.task(Stage.COLLECTING, age=50)
    check = await house.stuck().check(words)
    assert [each.id for each in check.stuck_tasks] == [late.task_id]
    assert [each.is_actually_running for each in check.running_tasks] == [True, True]


async def test_a_fresh_submission_that_is_not_there_yet_is_not_stuck(house, words) -> None:
    await house.task(Stage.SUBMITTING, age=0.1)
    late = await house.task(Stage.SUBMITTING, age=5)
    check = await house.stuck().check(words)
    assert [each.id for each in check.stuck_tasks] == [late.task_id]


async def test_a_check_leaves_the_ledger_byte_for_byte_as_it_was(house, words) -> None:
    house.simulator.pace.seconds_per_job = 30
    for age in (1, 45):
        await house.until(
            await house.inside(await house.task(age=age)), State.RUNNING, State.PENDING
        )
    await house.task()
    await house.task(Stage.COLLECTING, age=90)
    await house.ledger.compact()
    before = house.bytes()
    assert (await house.stuck().check(words)).total_stuck == 2
    assert house.bytes() == before
    assert not house.backups.all()


async def test_a_task_of_a_paused_batch_is_not_active(house, words) -> None:
    await house.task()
    batch = next(house.ledger.batches())
    paused = batch.changed(at=minutes_ago(0), status=BatchStatus.PAUSED)
    await house.ledger.commit(paused, op="batch.paused")
    (shown,) = (await house.stuck().check(words)).running_tasks
    assert not shown.is_active


async def test_one_look_at_each_server_serves_all_its_tasks(house: House, words) -> None:
    for _ in range(5):
        await house.task()
    asked = []
    look_up = house.client.look_up

    async def counted(tickets):
        asked.append(len(tickets))
        return await look_up(tickets)

    house.client.look_up = counted
    await status_check(
        house.ledger,
        {"gpu-a": house.client},
        house.clock,
        limits=Limits(workflows=WORKFLOWS, default_minutes=30),
        words=words,
    )
    assert asked == [5]
