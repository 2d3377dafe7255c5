"""What others wrote is text, and pages of others get nothing."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import expect

from ledger.batch import BatchStatus
from ledger.direct import DirectLedger
from ledger.status import Stage
from ledger.task import InputFile
from tests.browser.acts import drop_files, give_token
from tests.browser.conftest import Opener
from tests.browser.installation import Running, running
from tests.fakes.records import batch_record, task_record
from tests.fakes.world import World

pytestmark = pytest.mark.asyncio(loop_scope="session")

MARKUP = '<img src=x onerror="window.taken=1"><script>window.taken=1</script>'


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def daemon(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    world = World(tmp_path_factory.mktemp("untrusted") / "world", "http://127.0.0.1:9")
    with DirectLedger(world.ledger) as ledger:
        name = InputFile(name=MARKUP, sha256="0" * 64, size_bytes=1)
        task = task_record(
            1,
            Stage.FAILED,
            product_name=MARKUP,
            model_name=MARKUP,
            error_message=MARKUP,
            error_kind="execution_error",
            inputs={"image": name},
            row={MARKUP: MARKUP},
            parameters={"prompt": MARKUP},
        )
        again = {"not_before": "2999-01-01T00:00:00.000Z", "error_message": MARKUP}
        waits = task_record(2, error_kind="out_of_memory", **again)
        batch = batch_record(status=BatchStatus.PAUSED, name=MARKUP)
        ledger.commit(batch, task, waits, op="batch.accepted", actor=f"cli:{MARKUP}")
        ledger.commit(batch_record("old-abc234"), op="batch.accepted", actor="inbox")
    async with running(world) as daemon:
        yield daemon


async def test_markup_in_names_files_and_errors_is_shown_as_text_behind_the_kind_of_failure(
    daemon: Running, open_page: Opener
) -> None:
    gone = "404 (Not Found)"  # the picture that the record names was never there
    async with open_page(daemon.url, expected=(gone, "requires 'TrustedHTML'")) as page:
        for path in (
            "#/",
            "#/batches",
            "#/batch/spring-abc234",
            "#/task/img_20261121_000001",
            "#/failed",
        ):
            await page.goto(f"{daemon.url}/{path}")
            await expect(page.get_by_text(MARKUP).first).to_be_visible()
            assert await page.evaluate("window.taken") is None, path
            assert await page.locator("img[src=x]").count() == 0, path
        await page.goto(f"{daemon.url}/#/batch/spring-abc234")
        for kind in ("执行出错", "显存不足"):  # what the server said comes after it
            told = f"{kind}: {MARKUP}"
            row = page.locator(".row", has_text=told)
            await expect(row).to_have_count(1)
            title = await row.locator(".row-link").get_attribute("title")
            assert str(title).endswith(told)
        code = "document.body.innerHTML = '<b>x</b>'"
        assert "TrustedHTML" in await page.evaluate(
            f"(() => {{ try {{ {code} }} catch (e) {{ return e.message }} }})()"
        )


async def test_rows_that_are_all_refused_are_told_by_line_with_what_was_wrong_in_them(
    daemon: Running, open_page: Opener, tmp_path: Path
) -> None:
    job = tmp_path / "bad.json"
    rows = [{"工作流类型": MARKUP}, {"产品名": "壶", "优先级": "high"}]
    job.write_text(json.dumps({"rows": rows}), "utf-8")
    async with open_page(daemon.url, expected=("400 (Bad Request)",)) as page:
        await drop_files(page, job)
        dialog = page.locator("dialog", has_text="提交任务")
        await dialog.get_by_role("button", name="提交", exact=True).click()
        await give_token(page, daemon.token)
        lines = dialog.locator(".verdict-rows li")
        await expect(lines).to_have_count(2)
        await expect(lines.nth(0)).to_contain_text(f"第 1 行 工作流类型 (workflow_type) “{MARKUP}”")
        await expect(lines.nth(1)).to_contain_text("第 2 行 缺少 模特图 (model_image)")
        await expect(lines.nth(1)).to_contain_text("优先级 (priority) “high”不是十亿以内的整数")
        assert await page.evaluate("window.taken") is None
    assert len((await daemon.get("/api/batches"))["batches"]) == 2


FOREIGN = """async (base) => {
  const ask = (path, options) => fetch(base + path, options).then((r) => r.type, () => "refused");
  const load = (tag, path) => new Promise((resolve) => {
    const node = document.createElement(tag);
    node.onload = () => resolve("loaded");
    node.onerror = () => resolve("refused");
    node.src = base + path;
    document.body.append(node);
  });
  const listened = new Promise((resolve) => {
    const source = new EventSource(base + "/api/events", { withCredentials: true });
    source.onopen = () => resolve("opened");
    source.onerror = () => { source.close(); resolve("refused"); };
  });
  return {
    read: await ask("/api/batches"),
    readWithCookie: await ask("/api/batches", { credentials: "include" }),
    change: await ask("/api/batches/spring-abc234/resume", { method: "POST", headers: { Authorization: "Bearer x" } }),
    blind: await ask("/api/batches/spring-abc234/resume", { method: "POST", mode: "no-cors", body: "{}" }),
    events: await listened,
    picture: await load("img", "/static/icon.svg"),
    script: await load("script", "/static/main.js"),
  };
}"""


async def test_a_batch_whose_rows_are_all_archived_says_so_and_offers_nothing(
    daemon: Running, open_page: Opener
) -> None:
    async with open_page(f"{daemon.url}/#/batches", expected=("404 (Not Found)",)) as page:
        old = page.locator(".batch", has=page.locator("a[href*=old-abc234]"))
        await expect(old).to_contain_text("行已全部归档")
        await expect(old.get_by_role("button")).to_have_count(0)
        await page.goto(f"{daemon.url}/#/")
        await expect(page.locator(".batch")).to_have_count(1)


async def test_a_page_of_another_origin_can_neither_read_nor_change(
    daemon: Running, open_page: Opener
) -> None:
    async def foreign(_: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><body>", content_type="text/html")

    application = web.Application()
    application.router.add_get("/", foreign)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    noise = ("Access-Control", "CORS", "ERR_FAILED", "NotSameOrigin", "401 (", "404 (", "403 (")
    before = await daemon.get("/api/batches")
    try:
        async with open_page(url, expected=noise) as page:
            got = await page.evaluate(FOREIGN, daemon.url)
    finally:
        await runner.cleanup()
    # a request without a right to the answer is "opaque": it was sent, and was turned away (401)
    assert got.pop("blind") in ("opaque", "refused")
    assert set(got.values()) == {"refused"}, got
    assert await daemon.get("/api/batches") == before


async def test_a_foreign_name_that_points_at_this_machine_is_refused(
    daemon: Running, open_page: Opener
) -> None:
    rebound = daemon.url.replace("127.0.0.1", "rebound.example")
    async with open_page(rebound, expected=("421 (", "Cross-Origin-Opener-Policy")) as page:
        assert "host_refused" in await page.inner_text("body")
        for path in ("/static/main.js", "/api/batches", "/api/events"):
            answer = await page.goto(rebound + path)
            assert answer is not None
            assert answer.status == 421, path


async def test_beyond_loopback_the_page_asks_for_the_token_once_and_then_shows_all(
    tmp_path: Path, open_page: Opener
) -> None:
    world = World(tmp_path / "world", "http://127.0.0.1:9")
    text = world.config.read_text("utf-8")
    beyond = '[web]\nport = 0\nhost = "0.0.0.0"'
    world.config.write_text(text.replace("[web]\nport = 0", beyond), "utf-8")
    async with (
        running(world) as daemon,
        open_page(daemon.url, expected=("401 (Unauthorized)",)) as page,
    ):
        await give_token(page, daemon.token)
        await expect(page.get_by_text("实时")).to_be_visible()
        await expect(page.locator(".server h3")).to_have_text("gpu-0")
        await page.reload()  # the session's cookie is good for reading
        await expect(page.get_by_text("实时")).to_be_visible()
        await page.get_by_role("link", name="批次", exact=True).click()
        await expect(page.locator("dialog")).to_have_count(0)


async def test_the_token_is_never_left_where_a_later_page_could_find_it(
    daemon: Running, open_page: Opener
) -> None:
    async with open_page(f"{daemon.url}/#/batches", expected=("404 (Not Found)",)) as page:
        await page.get_by_role("button", name="停止").click()
        await page.locator("dialog").get_by_role("button", name="停止", exact=True).click()
        await page.get_by_label("管理令牌", exact=True).fill(daemon.token)
        await page.keyboard.press("Enter")
        await expect(page.locator(".notice")).to_be_visible()
        kept = await page.evaluate(
            "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"
        )
        assert daemon.token not in kept
        cookies = await page.context.cookies()
        assert all(daemon.token not in cookie["value"] for cookie in cookies)
        assert [cookie["httpOnly"] for cookie in cookies] == [True]
