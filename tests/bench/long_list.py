"""A batch of 20,000 rows in a real browser: frames a second while it scrolls, memory of its tab."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.bench.benchmark import Benchmark, Size, Target
from tests.bench.installation import running
from tests.browser.conftest import ARGUMENTS, DESKTOP
from tests.browser.ledgers import fill_with_rows
from tests.fakes.world import World

#: Scrolls as a hand does, a little each frame; counts the frames, and long tasks by the wall clock.
_SCROLL = """async (seconds) => {
  const list = document.querySelector(".list-scroller");
  let longest = 0;
  const watch = new PerformanceObserver((seen) => {
    for (const task of seen.getEntries()) longest = Math.max(longest, task.duration);
  });
  watch.observe({ type: "longtask" });
  const began = performance.now();
  let frames = 0;
  while (performance.now() - began < seconds * 1000) {
    list.scrollTop = (list.scrollTop + 240) % (list.scrollHeight - list.clientHeight);
    await new Promise(requestAnimationFrame);
    frames += 1;
  }
  const rate = (frames * 1000) / (performance.now() - began);
  await new Promise((resolve) => setTimeout(resolve, 200));
  return [rate, longest];
}"""


def _measure(folder: Path, size: Size) -> Mapping[str, float]:
    rows, seconds = size.of(20_000, 1_000), size.of(6, 1)
    world = World(folder / "world", "http://127.0.0.1:9")  # nobody there: nothing moves by itself
    fill_with_rows(world.ledger, rows)
    with running(world) as daemon, sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_context(viewport=DESKTOP, locale="en-US").new_page()
        page.goto(f"{daemon.url}/#/batch/spring-abc234")
        page.get_by_text(f"{rows:,}").first.wait_for()
        loaded = f"document.querySelector('.list-sizer').offsetHeight === {rows * 60}"
        while not page.evaluate(loaded):
            page.wait_for_timeout(50)
        rate, longest_ms = page.evaluate(_SCROLL, seconds)
        figures = {
            "frames/s while scrolling": rate,
            "longest task over 50 ms while scrolling, ms": longest_ms,
            "memory of the tab, MB": _tab_mb(browser),
            "heap of its scripts, MB": _heap_mb(page),
        }
        browser.close()
    return figures


def _tab_mb(browser: Browser) -> float:
    """Return what the largest renderer holds, its share of what it shares with others included."""
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    renderers = [each["id"] for each in processes if each["type"] == "renderer"]
    return max(_proportional_mb(pid) for pid in renderers)


def _proportional_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1000
    raise AssertionError(pid)


def _heap_mb(page: Page) -> float:
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(each["value"] for each in metrics if each["name"] == "JSHeapUsedSize") / 1e6


BENCHMARKS = (
    Benchmark(
        name="page-of-20k-rows",
        what="the rows of a batch of 20,000 in Chromium, scrolled for 6 s",
        measure=_measure,
        targets=(
            Target(figure="frames/s while scrolling", at_least=30),
            Target(figure="longest task over 50 ms while scrolling, ms", at_most=0),
            Target(figure="memory of the tab, MB", at_most=300),
        ),
        runs=3,
        needs=("chromium",),
    ),
)
