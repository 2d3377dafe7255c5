"""Recovery adopts what ended, resets what is lost, and forces only when told to."""

import asyncio

import pytest

from daemon.comfy.server import State
from daemon.words import Words
from daemon.words.retelling import in_language
from ledger.jsondir.reader import history, read_state
from ledger.status import Stage
from ledger.task import Task
from tests.unit.upkeep.conftest import House


async def test_exactly_the_lost_task_is_reset(house: House, words: Words) -> None:
    house.simulator.pace.seconds_per_job = 30
    lost = await house.task(age=45)
    over = await house.task(age=45)
    await house.until(await house.inside(over), State.RUNNING)
    well = await house.task(Stage.QUEUED)
    await house.inside(well)
    result = await house.stuck().recover(words, actor="api")
    assert (result.checked_tasks, result.reset_tasks) == (3, 1)
    assert result.reset_task_ids == [lost.task_id]
    assert result.message == ("成功重置 1 个卡住的任务；1 个没有动（仍在队列中，或服务器没有应答）")
    assert house.ledger.task(lost.task_id).stage is Stage.WAITING
    assert house.ledger.task(over.task_id) == over
    assert house.ledger.task(well.task_id) == well


async def test_what_ended_is_adopted_and_not_reset(house: House, words: Words) -> None:
    done = await house.task(age=45)
    await house.until(await house.inside(done), State.SUCCEEDED)
    await house.simulator.restart()  # forgotten, but the file is there: nothing names its nodes
    lost = house.ledger.task(done.task_id)
    known = await house.task(age=45)
    await house.until(await house.inside(known), State.SUCCEEDED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("daemon.upkeep.inspection.ENDED_SECONDS", -60.0)
        result = await house.stuck().recover(words, actor="api")
    assert result.reset_task_ids == [lost.task_id]
    assert "1 个已在 ComfyUI 中结束" in result.message
    adopted = house.ledger.task(known.task_id)
    assert (adopted.stage, len(adopted.outputs)) == (Stage.COLLECTING, 1)


async def one_over_the_limit_and_one_behind_it(house: House) -> tuple[Task, Task]:
    """Return a task that has run for too long, and one that waits in the server's queue."""
    house.simulator.pace.seconds_per_job = 30
    over = await house.task(age=45)
    await house.until(await house.inside(over), State.RUNNING)
    queued = await house.task(Stage.QUEUED)
    await house.inside(queued)
    return over, queued


async def test_force_cancels_by_id_and_resets_when_the_server_shows_the_end(
    house: House, words: Words
) -> None:
    over, queued = await one_over_the_limit_and_one_behind_it(house)
    result = await house.stuck().recover(words, actor="cli:mei", force_reset=True)
    assert sorted(result.reset_task_ids) == [over.task_id, queued.task_id]
    health = await house.client.health()
    assert (health.queue_running, health.queue_pending) == (0, 0)
    after = house.ledger.task(over.task_id)
    assert (after.stage, after.requested, after.error_kind) == (Stage.WAITING, None, "timeout")
    assert "the limit is 30" in (after.error_message or "")
    assert "超过上限 30" in in_language(after.error_message or "", "zh")


async def test_a_sweep_with_force_spares_what_is_healthy_and_counts_the_timeout(
    house: House, words: Words
) -> None:
    over, queued = await one_over_the_limit_and_one_behind_it(house)
    result = await house.stuck().recover(
        words, actor="sweep:stuck", force_reset=True, spare_healthy=True
    )
    assert result.reset_task_ids == [over.task_id]
    after = house.ledger.task(over.task_id)
    assert (after.stage, after.error_kind, after.auto_retries) == (Stage.WAITING, "timeout", 1)
    assert after.not_before is not None
    assert house.ledger.task(queued.task_id) == queued


async def test_a_timeout_that_used_up_its_retries_fails_under_a_sweep_not_under_an_operator(
    house: House, words: Words
) -> None:
    house.simulator.pace.seconds_per_job = 30
    over = await house.task(age=45, auto_retries=2)
    await house.until(await house.inside(over), State.RUNNING)
    await house.stuck().recover(words, actor="sweep:stuck", force_reset=True, spare_healthy=True)
    failed = house.ledger.task(over.task_id)
    assert (failed.stage, failed.error_kind) == (Stage.FAILED, "timeout")
    other = await house.task(age=45, auto_retries=2)
    await house.until(await house.inside(other), State.RUNNING)
    await house.stuck().recover(words, actor="api", force_reset=True)
    assert house.ledger.task(other.task_id).stage is Stage.WAITING


async def test_two_recoveries_at_once_reset_each_task_once(house: House, words: Words) -> None:
    lost = [await house.task(age=45) for _ in range(3)]
    stuck = house.stuck()
    first, second = await asyncio.gather(
        stuck.recover(words, actor="api"), stuck.recover(words, actor="sweep:stuck")
    )
    assert first.reset_task_ids == [task.task_id for task in lost]
    assert (second.checked_tasks, second.reset_tasks) == (0, 0)
    assert second.message == "没有需要重置的任务"
    assert {house.ledger.task(task.task_id).version for task in lost} == {2}


async def test_a_server_that_does_not_answer_keeps_its_tasks_even_under_force(
    house: House, words: Words
) -> None:
    task = await house.task(age=45)
    await house.simulator.stop()
    result = await house.stuck().recover(words, actor="api", force_reset=True)
    assert (result.checked_tasks, result.reset_tasks) == (1, 0)
    assert house.ledger.task(task.task_id) == task
    assert not house.backups.all()


async def test_a_task_of_a_server_that_left_the_settings_needs_force(
    house: House, words: Words
) -> None:
    task = await house.task(server="gpu-z")
    assert (await house.stuck().recover(words, actor="api")).reset_tasks == 0
    result = await house.stuck().recover(words, actor="api", force_reset=True)
    assert result.reset_task_ids == [task.task_id]


async def test_the_ledger_is_backed_up_before_the_first_change(house: House, words: Words) -> None:
    lost = await house.task(age=45)
    await house.stuck().recover(words, actor="api")
    (backup,) = house.backups.all()
    assert read_state(backup).tasks[lost.task_id] == lost


async def test_nothing_is_backed_up_when_nothing_is_changed(house: House, words: Words) -> None:
    await house.task(Stage.COLLECTING)
    result = await house.stuck().recover(words, actor="api", force_reset=True)
    assert (result.checked_tasks, result.reset_tasks) == (1, 0)
    assert not house.backups.all()


async def test_no_backup_no_recovery(house: House, words: Words) -> None:
    task = await house.task(age=45)

    def fail(_target: object) -> None:
        raise OSError("disk full")

    house.backups._copy = fail
    with pytest.raises(OSError, match="disk full"):
        await house.stuck().recover(words, actor="api")
    assert house.ledger.task(task.task_id) == task


async def test_the_journal_tells_who_had_a_task_reset_and_on_what_evidence(
    house: House, words: Words
) -> None:
    house.simulator.pace.seconds_per_job = 30
    lost = await house.task(age=45)
    over = await house.task(age=45)
    await house.until(await house.inside(over), State.RUNNING)
    await house.stuck().recover(words, actor="cli:mei", force_reset=True)
    (_, reset) = history(house.path, lost.task_id)
    assert (reset.op, reset.actor) == ("task.run_again", "cli:mei")
    assert "neither queue nor history" in (reset.reason or "")
    (_, asked, done) = history(house.path, over.task_id)
    assert (asked.op, asked.actor) == ("task.reset_requested", "cli:mei")
    assert asked.evidence is not None
    assert asked.evidence["sighting"] == "running"
    assert asked.evidence["limit_minutes"] == 30
    assert done.op == "task.as_requested"


async def test_an_intent_that_stands_already_is_left_alone(house: House, words: Words) -> None:
    house.simulator.pace.seconds_per_job = 30
    task = await house.task(age=45, requested="cancel", requested_by="api")
    await house.until(await house.inside(task), State.RUNNING)
    result = await house.stuck().recover(words, actor="api", force_reset=True)
    assert result.reset_tasks == 0
    assert house.ledger.task(task.task_id).stage is Stage.CANCELLED


async def test_a_submission_nobody_can_know_about_is_reset_by_force_only(
    house: House, words: Words
) -> None:
    task = await house.task(Stage.SUBMITTING, age=45)
    assert (await house.stuck().recover(words, actor="api")).reset_tasks == 0
    result = await house.stuck().recover(words, actor="api", force_reset=True)
    assert result.reset_task_ids == [task.task_id]


async def test_a_submission_that_waits_for_a_person_is_left_alone_and_costs_no_backup(
    house: House, words: Words
) -> None:
    task = await house.task(Stage.SUBMITTING, age=45, blocked_by="uncertain: a person decides")
    stuck = house.stuck()
    assert (await stuck.recover(words, actor="sweep:stuck")).reset_tasks == 0
    assert house.ledger.task(task.task_id) == task
    assert not house.backups.all()
    assert stuck.stuck == 1


async def test_the_count_of_stuck_tasks_follows_the_settings_not_somebodys_question(
    house: House, words: Words
) -> None:
    house.simulator.pace.seconds_per_job = 30
    task = await house.task(age=12)
    await house.until(await house.inside(task), State.RUNNING)
    stuck = house.stuck()
    assert (await stuck.check(words, max_runtime_minutes=1)).total_stuck == 1
    assert stuck.stuck == 0
    await house.task(age=45)
    await stuck.check(words)
    assert stuck.stuck == 1
    await stuck.recover(words, actor="api")
    assert stuck.stuck == 0
