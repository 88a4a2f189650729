"""A real browser, and what it complains about."""

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, async_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_WATCH = """
window.violations = [];
document.addEventListener('securitypolicyviolation', event => window.violations.push(
  event.violatedDirective + ' ' + event.blockedURI));
"""


class Watched:
    """A page of the browser, and its errors."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("console", lambda told: self.errors.append(told.text) if told.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    async def assert_clean(self) -> None:
        """No error was logged, nothing broke the Content-Security-Policy, and axe finds nothing."""
        assert self.errors == []
        assert await self.page.evaluate("window.violations") == []
        found = (await Axe().run(self.page)).response["violations"]
        assert [(each["id"], [node["target"] for node in each["nodes"]]) for each in found] == []


@asynccontextmanager
async def open_page(
    url: str, *, arguments: Sequence[str] = ("--no-sandbox",), **context: Any
) -> AsyncIterator[Watched]:
    """A page of a new browser at this URL; `context` are options of its context, such as `color_scheme`."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        pytest.skip("no chromium on the path")
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=program, args=list(arguments))
        try:
            page = await (await browser.new_context(**context)).new_page()
            await page.add_init_script(_WATCH)
            watched = Watched(page)
            await page.goto(url)
            yield watched
        finally:
            await browser.close()
