"""The UI in Chromium: under its Content-Security-Policy, and as axe sees it."""

from typing import Any

import pytest

from tests.support.chromium import open_page
from tests.support.records import a_delivery, delivered, waiting
from tests.support.ui import browsing, log_in

LOOKS: list[dict[str, Any]] = [
    {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
    {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}},
]


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


async def test_the_palette_finds_by_a_pasted_id_and_by_name_with_the_keyboard_alone(history):
    kept = delivered()
    async with browsing(history, kept) as served, open_page(f"{served.url}/ui/deliveries") as seen:
        page = seen.page
        await log_in(seen)
        await page.keyboard.press("Control+k")
        await page.keyboard.type("crm")
        await page.wait_for_selector("#hits [role=option]")
        await seen.assert_clean()
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/ui/hooks/crm")
        await page.keyboard.press("Control+k")
        await page.keyboard.insert_text(kept.delivery.event.id)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**/ui/events/{kept.delivery.event.id}")


async def test_keys_move_between_rows_and_pages(history):
    kept = [delivered() for _ in range(3)]
    async with browsing(history, *kept) as served, open_page(f"{served.url}/ui/deliveries") as seen:
        page = seen.page
        await log_in(seen)
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#panel article")
        second = await page.evaluate("document.querySelectorAll('a.row')[1].href")
        assert page.url == second
        await page.keyboard.press("Escape")
        await page.keyboard.press("?")
        await page.wait_for_selector("#keys[open]")
        await seen.assert_clean()
        await page.keyboard.press("Escape")
        await page.keyboard.press("g")
        await page.keyboard.press("e")
        await page.wait_for_url("**/ui/events")


async def test_new_rows_wait_and_states_change_in_place(history):
    kept = waiting(a_delivery())
    async with browsing(history, kept) as served, open_page(f"{served.url}/ui/deliveries") as seen:
        page = seen.page
        await log_in(seen)
        await page.wait_for_selector("#live[data-heard]")
        assert await history.commit([delivered(kept.delivery), delivered()]) == []
        await page.wait_for_selector(f"#r-{kept.delivery.id} >> text=delivered")
        await page.wait_for_selector("text=1 new, show")
        assert await page.locator("tbody tr").count() == 1
        await page.click("text=1 new, show")
        await page.wait_for_function("document.querySelectorAll('tbody tr').length === 2")
        await seen.assert_clean()


async def test_eight_tabs_share_one_stream_and_another_takes_over(history):
    async with browsing(history, delivered()) as served, open_page(f"{served.url}/ui/deliveries") as seen:
        await log_in(seen)
        tabs = [await seen.page.context.new_page() for _ in range(7)]
        for tab in tabs:
            await tab.goto(f"{served.url}/ui/deliveries", timeout=5000)
            await tab.wait_for_selector("#live[data-heard]", timeout=5000)
        await seen.page.close()
        assert await history.commit([delivered()]) == []
        for tab in tabs:
            await tab.wait_for_selector("text=1 new, show", timeout=5000)
