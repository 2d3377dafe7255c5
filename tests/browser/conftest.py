"""One real Chromium for all browser tests of a worker; without one they skip and say how to get it."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # a name of a foreign site that its maker points at this machine
    "--host-resolver-rules=MAP rebound.example 127.0.0.1",
]
#: How long the page may take to show something: far longer than it does, on a machine that is busy.
PATIENCE_MS = 20_000
expect.set_options(timeout=PATIENCE_MS)
DESKTOP = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here; apt-get install -y chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


class Opener:
    """Opens pages; whatever they write to the console is a failure unless it is expected."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser

    @contextlib.asynccontextmanager
    async def __call__(
        self, url: str, *, expected: tuple[str, ...] = (), **context: Any
    ) -> AsyncIterator[Page]:
        settings = {"locale": "zh-CN", "viewport": DESKTOP} | context
        opened = await self.browser.new_context(**settings)
        page = await opened.new_page()
        page.set_default_timeout(PATIENCE_MS)
        said: list[str] = []
        page.on(
            "console",
            lambda message: said.append(
                f"{message.type}: {message.text} {message.location.get('url', '')}"
            ),
        )
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        try:
            await page.goto(url)
            yield page
        finally:
            await opened.close()
        assert [line for line in said if not any(known in line for known in expected)] == []


@pytest.fixture
def open_page(browser: Browser) -> Opener:
    return Opener(browser)
