"""Each button asks first, works once however often it is pressed, and says what came of it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, Route, expect

from ledger.batch import BatchStatus
from ledger.direct import DirectLedger
from ledger.status import Stage
from ledger.task import InputFile
from tests.browser.acts import confirm, facts, give_token
from tests.browser.conftest import Opener
from tests.browser.installation import Running, running
from tests.fakes.records import batch_record, task_record
from tests.fakes.world import World

pytestmark = pytest.mark.asyncio(loop_scope="session")

BATCH = "spring-abc234"


@pytest_asyncio.fixture(loop_scope="session")
async def daemon(tmp_path: Path) -> AsyncIterator[Running]:
    """A batch that failed after two rows of four, one without its files, a server that is away."""
    world = World(tmp_path / "world", "http://127.0.0.1:9")
    gone = InputFile(name="pot.png", sha256="0" * 64, size_bytes=1)
    failed = {"error_kind": "execution_error", "error_message": "boom"}
    old = {"batch_id": "old-abc234", "row_id": "old-abc234:1", "inputs": {"image": gone}}
    with DirectLedger(world.ledger) as ledger:
        ledger.commit(
            batch_record("old-abc234", status=BatchStatus.STOPPED),
            task_record(9, Stage.FAILED, **failed, **old),
            batch_record(status=BatchStatus.FAILED),
            task_record(1, Stage.DONE, server="gpu-0"),
            task_record(2, Stage.FAILED, **failed),
            task_record(3),
            task_record(4),
            op="batch.accepted",
            actor="inbox",
        )
    async with running(world) as daemon:
        yield daemon


async def press(page: Page, verb: str) -> None:
    await page.get_by_role("button", name=verb, exact=True).click()


async def test_a_button_asks_with_the_counts_and_sends_one_change_however_often_it_is_pressed(
    daemon: Running, open_page: Opener
) -> None:
    sent = 0

    async def slowly(route: Route) -> None:
        nonlocal sent
        sent += 1
        await may_go.wait()
        await route.continue_()

    may_go = asyncio.Event()
    async with open_page(f"{daemon.url}/#/batch/{BATCH}") as page:
        await page.route("**/rerun", slowly)
        await press(page, "从头重新开始")
        assert await facts(page) == {"阶段": 1, "已完成": 1, "失败": 1, "待处理": 2}
        await expect(page.locator("dialog")).to_contain_text("全部 4 行作为新批次")
        await confirm(page, "从头重新开始")
        await give_token(page, daemon.token)
        controls = page.locator(".title-line .actions")
        await expect(controls).to_have_attribute("aria-busy", "true")
        await expect(controls.get_by_role("button").first).to_be_disabled()
        await page.evaluate(
            "document.querySelectorAll('.actions button').forEach((b) => b.click())"
        )
        may_go.set()
        await expect(page.locator(".notice.done")).to_be_visible()
        await expect(controls.get_by_role("button").first).to_be_enabled()
        await expect(page.locator("dialog")).to_have_count(0)
    assert sent == 1
    assert len((await daemon.get("/api/batches"))["batches"]) == 3


async def test_what_was_changed_is_shown_at_once_and_a_refusal_says_what_to_do(
    daemon: Running, open_page: Opener
) -> None:
    refused = ("409 (Conflict)", "404 (Not Found)")  # the latter: its small picture
    async with open_page(f"{daemon.url}/#/task/img_20261121_000003", expected=refused) as page:
        await press(page, "取消任务")
        await confirm(page, "取消任务")
        await give_token(page, daemon.token)
        await expect(page.locator(".title-line .pill")).to_have_text("已取消")
        await expect(page.get_by_role("button", name="重新执行")).to_be_visible()

        await page.goto(f"{daemon.url}/#/task/img_20261121_000009")
        await press(page, "重新执行")
        await confirm(page, "重新执行")
        problem = page.locator(".notice.problem")
        await expect(problem).to_contain_text("文件已被清理，无法重新执行")
        await expect(problem).to_contain_text("pot.png")
        await expect(problem).to_contain_text("请把这些文件放回")
        await problem.get_by_role("button", name="关闭").click()

        await page.goto(f"{daemon.url}/#/")
        for verb, health in (("停止接新任务", "不接新任务"), ("重新接任务", "连不上")):
            await press(page, verb)
            await confirm(page, verb)
            await expect(page.locator(".server .health")).to_have_text(health)
