"""When things change while the page is open: a restart, a task that hangs, one that goes on."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from daemon.comfy.simulator import Simulator
from ledger.batch import BatchStatus
from ledger.direct import DirectLedger
from ledger.status import Stage
from tests.browser.acts import confirm, facts, give_token
from tests.browser.conftest import Opener
from tests.browser.installation import keep_port, running
from tests.fakes.records import batch_record, task_record
from tests.fakes.world import TWO_ROWS, World, small_rows, small_world

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_pause_outlives_a_restart_and_the_page_comes_back_by_itself(
    tmp_path: Path, open_page: Opener
) -> None:
    away = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET")
    async with Simulator(tmp_path / "comfyui", seconds_per_job=2) as simulator:
        world = small_world(tmp_path / "world", simulator.url, max_in_flight=1)
        world.drop("spring", small_rows(12))
        async with running(world) as daemon:
            keep_port(world)
            url, token = daemon.url, daemon.token
            opened = open_page(f"{url}/#/batches", expected=away)
            page = await opened.__aenter__()
            await page.get_by_role("button", name="暂停").click()
            await confirm(page, "暂停")
            await give_token(page, token)
            await expect(page.locator(".batch .pill")).to_have_text("已暂停")
        await expect(page.locator(".connection")).to_have_text("连接已断开，正在重连…")
        async with running(world) as daemon:
            assert daemon.url == url
            await expect(page.locator(".connection")).to_have_text("实时", timeout=20_000)
            await expect(page.locator(".batch .pill")).to_have_text("已暂停")
            waiting = world.stages()[Stage.WAITING]
            assert waiting > 0
            await page.get_by_role("button", name="继续").click()
            assert (await facts(page))["待处理"] == waiting
            simulator.pace.seconds_per_job = 0.1
            await confirm(page, "继续")  # the token is still in the page's memory
            await expect(page.locator(".batch .pill")).to_have_text("已结束", timeout=20_000)
            await opened.__aexit__(None, None, None)
        assert world.verify() == []


async def test_a_task_that_hangs_bears_a_badge_and_is_recovered_with_one_click(
    tmp_path: Path, open_page: Opener
) -> None:
    async with Simulator(tmp_path / "comfyui", seconds_per_job=60) as simulator:
        world = World(tmp_path / "world", simulator.url)
        mark = '[workflows."图片合成"]\n'
        text = world.config.read_text("utf-8")
        world.config.write_text(text.replace(mark, mark + "max_runtime_minutes = 0.001\n"), "utf-8")
        world.drop("spring", TWO_ROWS[:1])
        async with running(world) as daemon:
            page_of = await daemon.until(
                "/api/tasks", lambda d: any(task["stage"] == "running" for task in d["tasks"])
            )
            async with open_page(daemon.url) as page:
                warning = page.locator(".warning", has_text="卡住")
                await expect(warning).to_contain_text("1 个任务卡住了")
                await expect(page.locator(".server .badge")).to_have_text("卡住")
                await page.goto(f"{daemon.url}/#/batch/{page_of['tasks'][0]['batch_id']}")
                await expect(page.locator(".row .badge")).to_have_text("卡住")
                await page.goto(daemon.url)
                await warning.get_by_role("button", name="恢复任务").click()
                assert await facts(page) == {"处理中的任务": 1, "卡住的任务": 1}
                await page.get_by_label("服务器仍在执行的也取消并重置").check()
                simulator.pace.seconds_per_job = 0
                await confirm(page, "恢复任务")
                await give_token(page, daemon.token)
                await expect(page.locator(".notice")).to_be_visible(timeout=20_000)
                await expect(warning).to_be_hidden()
                await expect(page.locator(".latest .tile")).to_have_count(1, timeout=20_000)
        (task,) = world.tasks()
        assert (task.stage, task.attempt) == (Stage.DONE, 2)
        assert len(list((world.state / "ledger-backups").iterdir())) == 1


async def test_a_button_under_a_finger_stays_while_its_task_goes_on(
    tmp_path: Path, open_page: Opener
) -> None:
    async with Simulator(tmp_path / "comfyui", seconds_per_job=60) as simulator:
        world = small_world(tmp_path / "world", simulator.url, max_in_flight=1)
        world.drop("spring", small_rows(2))
        async with running(world) as daemon:
            now = await daemon.until(
                "/api/tasks", lambda d: {each["stage"] for each in d["tasks"]} >= {"running"}
            )
            at_work, waits = sorted(now["tasks"], key=lambda each: each["stage"])
            async with open_page(f"{daemon.url}/#/task/{waits['task_id']}") as page:
                pill = page.locator(".title-line .pill")
                await expect(pill).to_have_text("等待")
                button = page.get_by_role("button", name="取消任务", exact=True)
                await button.focus()
                await button.hover()
                await page.mouse.down()
                assert (await world.run("cancel", at_work["task_id"]))[0] == 0
                await expect(pill).to_have_text("运行", timeout=20_000)
                await expect(button).to_be_focused()
                await page.mouse.up()
                await expect(page.locator("dialog")).to_be_visible()


async def test_the_keyboard_stays_at_a_failure_while_those_above_it_go(
    tmp_path: Path, open_page: Opener
) -> None:
    world = World(tmp_path / "world", "http://127.0.0.1:9")
    why = {"error_kind": "execution_error", "error_message": "boom"}
    with DirectLedger(world.ledger) as ledger:
        failed = [task_record(number, Stage.FAILED, **why) for number in (1, 2, 3)]
        batch = batch_record(status=BatchStatus.FAILED)
        ledger.commit(batch, *failed, op="batch.accepted", actor="inbox")
    async with running(world) as daemon, open_page(f"{daemon.url}/#/failed") as page:
        rows = page.locator(".failed-tasks li")
        await expect(rows).to_have_count(3)
        button = rows.nth(1).get_by_role("button")
        first, id_there = await rows.evaluate_all(
            "(rows) => rows.slice(0, 2).map((row) => row.querySelector('a').href.split('/').pop())"
        )
        await button.focus()
        assert (await world.run("retry", first))[0] == 0
        await expect(rows).to_have_count(2)
        await expect(rows.nth(0).get_by_role("button")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("dialog")).to_contain_text(id_there)
