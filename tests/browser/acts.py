"""What people do on the page."""

import asyncio
import base64
from pathlib import Path

from playwright.async_api import Page, expect

MAKE_DROP = """async (files) => {
  const dropped = new DataTransfer();
  for (const { name, base64 } of files) {
    const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
    dropped.items.add(new File([bytes], name));
  }
  window.dispatchEvent(new DragEvent("dragover", { dataTransfer: dropped, cancelable: true }));
  window.dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, cancelable: true }));
}"""


#: Whether all pictures in sight are drawn; those below load when they are scrolled to.
PICTURES_SHOWN = """[...document.querySelectorAll("main img[src]")].every((image) =>
  (image.complete && image.naturalWidth > 0) || image.getBoundingClientRect().top > innerHeight)"""


async def until(page: Page, expression: str, seconds: float = 20) -> None:
    """Wait until *expression* holds in the page, whose policy forbids it to wait by itself."""
    async with asyncio.timeout(seconds):
        while not await page.evaluate(expression):
            await asyncio.sleep(0.05)


async def drop_files(page: Page, *paths: Path) -> None:
    """Drop files onto the page."""
    files = [
        {"name": path.name, "base64": base64.b64encode(path.read_bytes()).decode()}
        for path in paths
    ]
    await page.evaluate(MAKE_DROP, files)


async def give_token(page: Page, token: str) -> None:
    """Answer the question for the token."""
    dialog = page.locator("dialog", has_text="管理令牌").last
    await dialog.get_by_label("管理令牌", exact=True).fill(token)
    await dialog.get_by_role("button", name="使用").click()


async def facts(page: Page) -> dict[str, int]:
    """Return the counts that a confirmation shows, by their Chinese names."""
    await expect(page.locator(".facts")).to_be_visible()
    names = await page.locator(".facts dt").all_inner_texts()
    values = await page.locator(".facts dd").all_inner_texts()
    found = dict(zip(names, values, strict=True))
    return {name: int(value) for name, value in found.items() if value.isdigit()}


async def confirm(page: Page, verb: str) -> None:
    await page.locator("dialog").get_by_role("button", name=verb, exact=True).click()
