"""The page as people meet it: both languages, both themes, desktop and phone, keyboard, axe-core."""

import asyncio
import csv
import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import Page, expect

from daemon.cli.demo import drop_example
from daemon.comfy.simulator import Simulator
from daemon.words.catalogue import CATALOGUE
from daemon.words.recorded import recorded, together
from daemon.words.retelling import RECORDS, in_language
from ledger.status import Stage
from tests.browser.acts import PICTURES_SHOWN, until
from tests.browser.conftest import DESKTOP, PHONE, Opener
from tests.browser.installation import Running, running
from tests.fakes.world import ROOT, World

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Where the picture for the README is kept when it is to be made anew.
KEPT = ROOT / "config" / "examples" / "dashboard.png"
KEEP = "ROWKEEPER_KEEP_SCREENSHOT"
KEPT_BYTES = 200_000
#: Names as nobody should give them.
LONG_NAMES = ("超长产品名称" * 12, "NameWithoutAnySpaces" * 8)
#: What sticks out of its card to the right, and is not cut off by intent.
STICKS_OUT = """[...document.querySelectorAll("main .card")].flatMap((card) => {
  const edge = card.getBoundingClientRect().right + 1;
  return [...card.querySelectorAll("*")].filter((node) => {
    if (node.getBoundingClientRect().right <= edge) return false;
    for (let each = node.parentElement; each !== card; each = each.parentElement)
      if (getComputedStyle(each).overflowX !== "visible") return false;
    return true;
  }).map((node) => node.outerHTML.slice(0, 200));
})"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def daemon(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """An installation in the middle of its work: results, a failure, rows that run and wait."""
    tmp_path = tmp_path_factory.mktemp("looks")
    async with (
        # slow enough that what is left when we look is not done before we have seen it
        Simulator(tmp_path / "comfyui", seconds_per_job=0.8) as one,
        Simulator(tmp_path / "comfyui-2", seconds_per_job=0.8) as two,
    ):
        world = World(tmp_path / "world", one.url, two.url, max_auto_retries=0)
        one.faults.next("out_of_memory")
        two.faults.next("execution_error")
        world.inbox.mkdir(parents=True)
        rows = 24 if os.environ.get(KEEP) else 12
        drop = drop_example(world.inbox, rows)
        if not os.environ.get(KEEP):
            give_long_names(drop / "spring.csv")
        async with running(world) as daemon:
            async with asyncio.timeout(80):
                while world.stages()[Stage.DONE] < rows - 4:
                    await asyncio.sleep(0.1)
            one.pace.seconds_per_job = two.pace.seconds_per_job = 30
            async with asyncio.timeout(30):
                while world.stages()[Stage.RUNNING] < 2:
                    await asyncio.sleep(0.1)
            yield daemon
            one.pace.seconds_per_job = two.pace.seconds_per_job = 0


def give_long_names(job: Path) -> None:
    """Rename the products of the last four rows: those that run when the page is looked at."""
    with job.open(encoding="utf-8", newline="") as file:
        lines = [*csv.reader(file)]
    for number, line in enumerate(lines[-4:]):
        line[1] = LONG_NAMES[number % len(LONG_NAMES)]
    with job.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(lines)


async def views(daemon: Running) -> dict[str, str]:
    """Return the address of each kind of view; of a failed task and of a done one."""
    (batch,) = (await daemon.get("/api/batches"))["batches"]
    tasks = (await daemon.get("/api/tasks?limit=1000"))["tasks"]
    failed = next(task for task in tasks if task["stage"] == "failed")
    done = next(task for task in tasks if task["stage"] == "done")
    long = max(tasks, key=lambda task: len(task["product_name"]))
    return {
        "overview": "#/",
        "batches": "#/batches",
        "batch": f"#/batch/{batch['batch_id']}",
        "task": f"#/task/{done['task_id']}",
        "long-task": f"#/task/{long['task_id']}",
        "failed-task": f"#/task/{failed['task_id']}",
        "failed": "#/failed",
    }


async def settled(page: Page) -> None:
    """Wait until the view and its pictures are there."""
    await expect(page.locator("h1")).to_be_visible()
    await expect(page.locator(".connection")).to_have_attribute("data-state", "live")
    await until(page, PICTURES_SHOWN)
    await page.wait_for_timeout(80)


@pytest.mark.parametrize(
    "look",
    ["desktop zh-CN light", "desktop en-US dark", "phone zh-CN dark", "phone en-US light"],
)
async def test_nothing_is_cut_off_in_any_language_theme_or_size(
    look: str, daemon: Running, open_page: Opener, tmp_path: Path
) -> None:
    kind, locale, theme = look.split()
    shots = Path(os.environ.get("ROWKEEPER_SCREENSHOTS", tmp_path / "shots"))
    async with open_page(
        daemon.url,
        locale=locale,
        color_scheme=theme,
        viewport=DESKTOP if kind == "desktop" else PHONE,
        device_scale_factor=1 if kind == "desktop" else 2,
    ) as page:
        for name, address in (await views(daemon)).items():
            await page.goto(f"{daemon.url}/{address}")
            await settled(page)
            wide = "document.documentElement.scrollWidth - window.innerWidth"
            assert await page.evaluate(wide) <= 0, name
            assert await page.evaluate(STICKS_OUT) == [], name
            await page.screenshot(path=shots / f"{name}-{kind}-{locale[:2]}-{theme}.png")
    if os.environ.get(KEEP) and (kind, locale) == ("desktop", "zh-CN"):
        with Image.open(shots / "overview-desktop-zh-light.png") as picture:
            picture.convert("RGB").quantize(256, kmeans=2).save(KEPT, optimize=True)
    assert KEPT.stat().st_size < KEPT_BYTES


async def test_language_and_theme_are_switched_and_kept(daemon: Running, open_page: Opener) -> None:
    async with open_page(daemon.url, color_scheme="light") as page:
        await expect(page.locator("h1")).to_have_text("概览")
        await page.get_by_role("button", name="English").click()
        await expect(page.locator("h1")).to_have_text("Overview")
        await page.get_by_role("button", name="Switch to dark").click()
        ground = "getComputedStyle(document.body).backgroundColor"
        dark = await page.evaluate(ground)
        await page.reload()
        await expect(page.locator("h1")).to_have_text("Overview")
        assert await page.evaluate(ground) == dark == "rgb(19, 20, 22)"
        await page.locator(".connection[data-state=live]").wait_for()
        await page.get_by_role("button", name="Submit a job").click()
        await page.keyboard.press("Escape")
        focused = "document.activeElement.textContent"
        assert await page.evaluate(focused) == "Submit a job"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, a development tool only; fetched, not kept in the tree."""
    if shutil.which("npm") is None:
        pytest.skip("no npm here; apt-get install -y npm")
    folder = tmp_path_factory.mktemp("axe")
    fetch = await asyncio.create_subprocess_exec(
        *("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder)),
        "axe-core@4",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await fetch.communicate()
    source = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not source.exists():
        pytest.skip(f"axe-core cannot be fetched: {said.decode()[-200:]}")
    return source.read_text("utf-8")


async def serious(page: Page, axe: str) -> list[Any]:
    """Return what axe-core finds that is serious or critical."""
    await page.evaluate(axe)
    found = await page.evaluate("axe.run({ resultTypes: ['violations'] })")
    return [
        (each["id"], node["target"], node["failureSummary"])
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_axe_finds_nothing_serious_in_any_view(
    theme: str, daemon: Running, open_page: Opener, axe: str
) -> None:
    async with open_page(daemon.url, color_scheme=theme, bypass_csp=True) as page:
        for name, address in (await views(daemon)).items():
            await page.goto(f"{daemon.url}/{address}")
            await settled(page)
            assert await serious(page, axe) == [], name
        await page.goto(daemon.url)
        await page.get_by_role("button", name="提交任务").click()
        assert await serious(page, axe) == []


async def test_what_records_say_is_told_as_the_command_line_tells_it(
    daemon: Running, open_page: Opener
) -> None:
    english = CATALOGUE["en"]
    said = [
        re.sub(r"\{\w+\}", lambda hole: f"<{hole[0]}>", english[key])
        for key in english
        if key.startswith(RECORDS)
    ]
    said += [
        together(recorded("absent"), recorded("no_probe"), "CUDA error"),
        recorded("node", node="2 (SaveImage)", why=recorded("required")),
        "CUDA error; (nobody knows)",
    ]
    async with open_page(daemon.url) as page:
        told = await page.evaluate(
            """async (texts) => {
              const { retold } = await import("/static/retold.js");
              return texts.map(retold);
            }""",
            said,
        )
    assert told == [in_language(text, "zh") for text in said]
