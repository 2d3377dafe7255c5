"""20,000 rows in one list: smooth to scroll, quick to filter, and never more than a screenful."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.acts import until
from tests.browser.conftest import Opener
from tests.browser.installation import Running, running
from tests.browser.ledgers import ROWS, fill_with_rows
from tests.fakes.world import World

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROW_PIXELS = 60
LONG_TASK_MS = 50
SCROLL = """async () => {
  const list = document.querySelector(".list-scroller");
  list.scrollTop = 0;
  for (let n = 0; n < 60; n += 1) {
    list.scrollTop += n < 40 ? 600 : 25000;
    await new Promise(requestAnimationFrame);
  }
  await new Promise((resolve) => setTimeout(resolve, 200));
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def daemon(tmp_path: Path) -> AsyncIterator[Running]:
    world = World(tmp_path / "world", "http://127.0.0.1:9")
    await asyncio.to_thread(fill_with_rows, world.ledger)
    async with running(world) as daemon:
        yield daemon


async def longest_task_ms(page: Page) -> float:
    """Return the longest task of the page's main thread while it scrolls, in processor time.

    Not as a PerformanceObserver tells it: its ``longtask`` is wall time, and so holds the pauses in
    which the machine gave the thread's core to others. Measured at a load of 18 to 26 on two cores,
    the same scroll took 7 to 14 ms of the thread in its longest task each of 24 times, and gave up
    to sixteen entries of up to 156 ms. The page has the first in hand, not the second; what people
    see on a quiet machine is the bench's to measure (``page-of-20k-rows``).
    """
    browser = page.context.browser
    assert browser is not None
    await browser.start_tracing(page=page, categories=["toplevel", "devtools.timeline"])
    await page.evaluate(SCROLL)
    trace = json.loads(await browser.stop_tracing())["traceEvents"]
    main = {
        (event["pid"], event["tid"])
        for event in trace
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    tasks = [
        event["tdur"] / 1000
        for event in trace
        if event["name"].endswith("RunTask")
        and "tdur" in event
        and (event["pid"], event["tid"]) in main
    ]
    assert len(tasks) > 60
    return max(tasks)


async def rows_shown(page: Page) -> int:
    return await page.locator(".row:visible").count()


async def test_20000_rows_scroll_without_a_long_task_and_are_found_by_status_and_words(
    daemon: Running, open_page: Opener
) -> None:
    async with open_page(f"{daemon.url}/#/batch/spring-abc234") as page:
        chip = page.locator('.chip[data-status="all"] .num')
        await expect(chip).to_have_text(f"{ROWS:,}")
        last = page.locator(".row", has_text=f"product {ROWS} ")
        scroller = page.locator(".list-scroller")
        height = "document.querySelector('.list-sizer').offsetHeight"
        await until(page, f"{height} === {ROWS * ROW_PIXELS}", seconds=60)
        assert await longest_task_ms(page) <= LONG_TASK_MS
        assert await rows_shown(page) < 60
        await scroller.focus()
        await page.keyboard.press("End")
        await expect(last).to_be_visible()
        assert await last.get_attribute("aria-posinset") == str(ROWS)
        await page.keyboard.press("ArrowUp")
        focused = "document.activeElement.textContent"
        assert f"product {ROWS - 1} " in await page.evaluate(focused)
        await page.get_by_role("searchbox").fill("product 12345")
        await expect(page.locator(".row:visible")).to_have_count(1)
        await page.get_by_role("searchbox").fill("")
        await page.locator('.chip[data-status="failed"]').click()
        await expect(page.locator(".row:visible").first).to_contain_text("显存不足")
        await page.reload()  # what was chosen stands in the address
        await expect(page.locator('.chip[data-status="failed"]')).to_have_attribute(
            "aria-pressed", "true"
        )
        await expect(page.locator(".row:visible").first).to_contain_text("显存不足")
