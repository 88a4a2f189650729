"""Point 7: the address is the state of a page: reloaded or pasted it shows the same, and back leads back."""

import re
from typing import Any

from playwright.async_api import Page

from tests.ui_check.pages import paths
from tests.ui_check.subject import Subject

_LIVE = re.compile(
    r"\d+(\.\d+)? (ms|s|min|h|d)\b|\d{4}-\d\d-\d\d[T ][\d:.]+( UTC|Z)?|\d\d:\d\d(:\d\d)?|[\d.,]+"
)
"""What changes with the time."""


async def check(subject: Subject) -> list[str]:
    """What was found."""
    found = []
    async with subject.page() as seen, subject.page() as other:
        for path in paths(subject):
            if path.startswith(
                ("events/new", "system")
            ):  # each form has an id of its own; figures of the process
                continue
            await seen.page.goto(subject.at(path))
            before = await _text(seen.page)
            await seen.page.reload()
            if await _text(seen.page) != before:
                found.append(f"/ui/{path} shows something else after reload")
            await other.page.goto(seen.page.url)
            if await _text(other.page) != before:
                found.append(f"/ui/{path} shows something else to another browser")
        found += await _back(subject, seen.page)
    return found


async def _back(subject: Subject, page: Page) -> list[str]:
    await page.set_viewport_size({"width": 1280, "height": 500})
    await page.goto(subject.at("deliveries?hook=ui-check-file"))
    await page.evaluate("window.scrollTo(0, 400)")
    before: Any = await page.evaluate("window.scrollY")
    links = page.locator("main a.row")
    await links.nth(8).click()
    await page.wait_for_selector("#panel article")
    panel = page.url
    await page.goto(subject.at("hooks"))
    await page.go_back()
    await page.wait_for_selector("main a.row")
    found = []
    if page.url != panel or "hook=ui-check-file" not in page.url:
        found.append(f"back leads to {page.url}, not to {panel}")
    if await page.locator("#panel article").count() != 1:
        found.append("back does not open the panel again")
    if await page.locator("main [name=hook]").input_value() != "ui-check-file":
        found.append("back does not restore the filter")
    after = await page.evaluate("window.scrollY")
    if before and not after:
        found.append(f"back scrolls to {after}, not to {before}")
    return found


async def _text(page: Page) -> str:
    await page.wait_for_load_state("load")
    return _LIVE.sub("#", await page.inner_text("main"))
