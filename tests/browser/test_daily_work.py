"""A day's work on the page: drop a job, look at results, mend what failed."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from daemon.comfy.simulator import Simulator
from ledger.status import Stage
from tests.browser.acts import PICTURES_SHOWN, confirm, drop_files, facts, give_token, until
from tests.browser.conftest import Opener
from tests.browser.installation import running
from tests.fakes.world import ROOT, World, small_rows, small_world

pytestmark = pytest.mark.asyncio(loop_scope="session")

EXAMPLE = ROOT / "config" / "examples" / "jobs" / "spring"


async def test_a_job_dropped_on_the_page_asks_for_the_token_and_runs_to_its_end(
    tmp_path: Path, open_page: Opener
) -> None:
    async with Simulator(tmp_path / "comfyui", seconds_per_job=2) as simulator:
        world = World(tmp_path / "world", simulator.url)
        async with (
            running(world) as daemon,
            open_page(daemon.url, expected=("401 (Unauthorized)",)) as page,
        ):
            await expect(page.get_by_text("实时")).to_be_visible()
            await drop_files(page, *sorted(EXAMPLE.iterdir()))
            dialog = page.locator("dialog", has_text="提交任务")
            await expect(dialog).to_contain_text("5 个图片文件")
            await dialog.get_by_role("button", name="提交", exact=True).click()
            await give_token(page, "wrong-" + "x" * 20)
            await expect(page.get_by_text("令牌不对")).to_be_visible()
            await give_token(page, daemon.token)
            await expect(dialog).to_contain_text("已接收 6 行")
            await dialog.get_by_role("link", name="查看批次").click()

            done = page.locator(".row", has_text="完成")
            await expect(page.locator(".row .meter:visible").first).to_be_visible()
            simulator.pace.seconds_per_job = 0.1  # it was seen at work
            await expect(done).to_have_count(8, timeout=30_000)
            await expect(page.locator(".title-line .pill")).to_have_text("已结束")
            await expect(page.locator(".row img").first).to_be_visible()
            await until(page, PICTURES_SHOWN)
            await page.locator(".row .thumb").first.click()
            await expect(page.locator(".viewer-counter")).to_have_text("1 / 8")
            for key, place in (("ArrowRight", "2 / 8"), ("End", "8 / 8"), ("ArrowLeft", "7 / 8")):
                await page.keyboard.press(key)
                await expect(page.locator(".viewer-counter")).to_have_text(place)
            await expect(page.locator(".viewer video, .viewer img")).to_have_count(1)
            await page.keyboard.press("Escape")
            await expect(page.locator(".viewer")).to_have_count(0)

            again = tmp_path / "spring.csv"
            bad = "7,青瓷杯,安娜,图片合成,missing.png,anna.png,,,\n"
            again.write_text((EXAMPLE / "spring.csv").read_text("utf-8") + bad, "utf-8")
            await drop_files(page, again, *sorted(EXAMPLE.glob("*.[jp][pn]g")))
            send = dialog.get_by_role("button", name="提交", exact=True)
            await send.click()  # the token is known
            told = dialog.locator(".verdict-rows")
            await expect(told.filter(has_text="以前已接收的行").locator("li")).to_have_count(6)
            refused = told.filter(has_text="拒绝的行").locator("li")
            await expect(refused).to_have_text(
                ["第 8 行 产品图 (product_image) “missing.png”：文件不存在"]
            )
        assert world.verify() == []


def has_broken_off(listed: Any) -> bool:
    """Say whether the batch has failed and what was in flight has ended."""
    return any(
        batch["status"] == "failed" and not batch["statistics"]["processing"]
        for batch in listed["batches"]
    )


async def test_a_failed_batch_goes_on_from_where_it_failed_with_the_numbers_that_were_shown(
    tmp_path: Path, open_page: Opener
) -> None:
    more = "[dispatch]\nmax_consecutive_failures = 3\n"
    async with Simulator(tmp_path / "comfyui") as simulator:
        simulator.faults.set("execution_error")
        world = small_world(tmp_path / "world", simulator.url, more=more)
        world.drop("spring", small_rows(30))
        async with running(world) as daemon:
            listed = await daemon.until("/api/batches", has_broken_off)
            (batch,) = listed["batches"]
            simulator.faults.clear()
            stands = batch["statistics"]
            runs = simulator.executions.per_task()
            async with open_page(f"{daemon.url}/#/batches") as page:
                card = page.locator(".batch")
                await expect(card.get_by_role("button", name="从头重新开始")).to_be_visible()
                await card.get_by_role("button", name="从失败点继续执行").click()
                shown = await facts(page)
                assert shown == {
                    "阶段": 1,
                    "已完成": stands["completed"],
                    "失败": stands["failed"],
                    "待处理": stands["pending"],
                }
                assert shown["失败"] >= 3
                assert shown["已完成"] + shown["失败"] + shown["待处理"] == 30
                await confirm(page, "从失败点继续执行")
                await give_token(page, daemon.token)
                await expect(page.locator(".notice")).to_contain_text(
                    f"剩余的 {shown['待处理']} 行"
                )
                await expect(card.locator(".pill")).to_have_text("已结束", timeout=20_000)
                again = simulator.executions.per_task() - runs
                assert again.total() == shown["待处理"]
                assert world.stages()[Stage.FAILED] == shown["失败"]

                await page.get_by_role("link", name="失败").first.click()
                await expect(page.locator(".reason h3")).to_contain_text("执行出错")
                await expect(page.locator(".failed-tasks li")).to_have_count(shown["失败"])
                old = page.locator(".failed-tasks li").first
                old_id = (await old.locator("a").get_attribute("href") or "").rpartition("/")[2]
                await old.get_by_role("button", name="重新执行").click()
                await confirm(page, "重新执行")
                await expect(page.locator(".failed-tasks li")).to_have_count(shown["失败"] - 1)
                await page.goto(f"{daemon.url}/#/task/{old_id}")
                await expect(page.get_by_text("已被重试 1 次")).to_be_visible()
                await page.locator(".family a").click()
                retry_of = page.locator("p", has_text="第 1 次重试，原任务")
                await expect(retry_of.get_by_role("link", name=old_id)).to_be_visible()
                await expect(page.locator(".title-line .pill")).to_have_text("完成")

                await page.goto(f"{daemon.url}/#/batch/{batch['batch_id']}")
                await page.get_by_role("button", name="重试全部失败").click()
                assert (await facts(page))["失败"] == shown["失败"] - 1
                await confirm(page, "重试全部失败")
                await expect(page.locator('.chip[data-status="completed"] .num')).to_have_text("30")
        assert world.verify() == []
