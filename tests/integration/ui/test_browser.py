"""The UI in Chromium: under its Content-Security-Policy, and as axe sees it."""

from typing import Any

import pytest

from tests.support.api_server import TOKEN
from tests.support.chromium import Watched, open_page
from tests.support.records import a_delivery, delivered, waiting
from tests.support.ui import browsing

LOOKS: list[dict[str, Any]] = [
    {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
    {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}},
]


async def log_in(seen: Watched) -> None:
    await seen.page.fill("input[name=token]", TOKEN)
    await seen.page.click("form.login button")
    await seen.page.wait_for_selector("nav.side")


@pytest.mark.parametrize("look", LOOKS, ids=["light", "dark and narrow"])
async def test_an_operator_logs_in_and_looks_at_a_delivery(history, look):
    kept = [delivered(), waiting(a_delivery())]
    async with browsing(history, *kept) as served, open_page(f"{served.url}/ui/deliveries", **look) as seen:
        page = seen.page
        await seen.assert_clean()
        await log_in(seen)
        await seen.assert_clean()
        await page.click(f"a.row[href*='{kept[0].delivery.id}']")
        await page.wait_for_selector("#panel article")
        assert f"panel={kept[0].delivery.id}" in page.url
        assert await page.evaluate("document.activeElement.id") == "panel"
        await seen.assert_clean()
        await page.keyboard.press("Escape")
        assert "panel" not in page.url
        assert await page.evaluate("document.activeElement.className") == "row"
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_a_delivery_is_cancelled_without_any_script(history):
    kept = waiting(a_delivery())
    async with (
        browsing(history, kept) as served,
        open_page(f"{served.url}/ui/deliveries/{kept.delivery.id}", java_script_enabled=False) as seen,
    ):
        await log_in(seen)
        await seen.page.click("text=Cancel")
        await seen.page.wait_for_selector("text=cancelled")
        assert (await served.api.client.get(f"/deliveries/{kept.delivery.id}"))["reason"] == "cancelled"
