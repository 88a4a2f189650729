"""The pages of hooks in Chromium: what an operator does with them, and as axe sees them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.targets.factory import Targets
from tests.support.api_server import TOKEN
from tests.support.chromium import Watched, open_page
from tests.support.endpoint import Endpoint, open_endpoint
from tests.support.publisher import MemoryPublisher
from tests.support.records import a_delivery, an_event, delivered
from tests.support.ui import Browser, browsing

SETTINGS = {"http": {"allow_private_targets": ["127.0.0.0/8"]}}
LOOKS: dict[str, dict[str, Any]] = {
    f"{scheme} {width}": {"color_scheme": scheme, "viewport": {"width": width, "height": height}}
    for scheme in ("light", "dark")
    for width, height in ((1280, 900), (390, 844))
}
SHOP = {
    "name": "shop",
    "events": ["orders.*"],
    "target": {"type": "webhook", "url": "https://shop.test/a/long/path/that/does/not/fit/a/phone/at/all"},
}


async def log_in(seen: Watched) -> None:
    await seen.page.fill("input[name=token]", TOKEN)
    await seen.page.click("form.login button")
    await seen.page.wait_for_selector("nav.side")


@asynccontextmanager
async def sending(folder: Path) -> AsyncIterator[tuple[Endpoint, Targets]]:
    """An endpoint, and targets that reach it."""
    targets = Targets({"": MemoryPublisher()}, ["127.0.0.0/8"], folder, lambda _: None)
    async with open_endpoint() as endpoint:
        yield endpoint, targets
    await targets.close()


async def make_from_event(
    served: Browser, seen: Watched, url: str, targets: Targets, *, scripts: bool
) -> str:
    """Makes a hook from the event that is shown, tests it and goes live; returns its id."""
    page = seen.page
    await page.click("text=Hook for this")
    await page.fill("input[name='webhook:target.url']", url)
    if scripts:
        await page.fill("textarea[name=events]", "nothing.*")
        await page.wait_for_selector("#would :text('0 of 1')")
        await page.fill("textarea[name=events]", "orders.*")
        await page.wait_for_selector("#would :text('1 of 1')")
        await page.wait_for_selector(f"#would :text('{url}')")
        await seen.assert_clean()
    await page.click("text=Test the draft")
    await page.wait_for_selector(".st.ok:text('delivered')")
    await page.click("text=Save, off")
    await page.wait_for_selector("text=Go live")
    which = page.url.rpartition("/")[2].partition("?")[0]
    runner = served.api.runner(which)
    runner.target = targets.build(runner.hook)
    await page.click("text=Send test")
    await page.wait_for_selector(".st.ok:text('delivered')")
    assert await page.inner_text("dd code >> nth=0") == "orders.created"
    await page.click("text=Go live")
    await page.wait_for_selector("text=Pause…")
    return str(which)


async def rotate(seen: Watched) -> str:
    """Makes a new secret of the hook that is shown."""
    page = seen.page
    await page.click("nav.tabs >> text=Secrets")
    await page.click("text=Rotate")
    secret = str(await page.inner_text("#secret"))
    await page.click("text=I have it")
    await page.wait_for_selector(f"text=…{secret[-4:]}")
    assert secret not in await page.content()
    return secret


async def put_back(seen: Watched) -> None:
    """Changes the filter of the hook that is shown, and puts the version before back."""
    page = seen.page
    await page.click("nav.tabs >> text=Edit")
    await page.fill("textarea[name=filter]", "event.data.a == 2")
    await page.click("button:text-is('Save')")
    await page.wait_for_selector("dd >> text=event.data.a == 2")
    await page.click("nav.tabs >> text=History")
    await page.click("text=Put back >> nth=0")
    await page.wait_for_selector("text=its secrets are the present ones")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_a_hook_is_made_from_an_event_tested_rotated_and_put_back(history, tmp_path, scripts):
    event = an_event(type="orders.created")
    async with (
        sending(tmp_path) as (endpoint, targets),
        browsing(history, delivered(a_delivery(event)), settings=SETTINGS, build=targets.build) as served,
        open_page(f"{served.url}/ui/events/{event.id}", java_script_enabled=scripts) as seen,
    ):
        await log_in(seen)
        url = endpoint.url("/in")
        which = await make_from_event(served, seen, url, targets, scripts=scripts)
        assert endpoint.bodies("/in") == [event.message.body] * 2
        hook = await served.api.client.get(f"/hooks/{which}")
        assert (hook["enabled"], hook["target"]["url"]) == (True, url)
        await rotate(seen)
        assert (await served.api.client.get(f"/hooks/{which}"))["signing"]["signs"] is True
        await put_back(seen)
        hook = await served.api.client.get(f"/hooks/{which}")
        assert (hook["filter"], hook["enabled"], hook["signing"]["signs"]) == (None, True, True)
        assert seen.errors == []


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
async def test_the_pages_of_hooks_are_accessible_and_fit(history, look):
    event = an_event(type="orders.created")
    async with (
        browsing(history, delivered(a_delivery(event))) as served,
        open_page(f"{served.url}/ui/hooks", **look) as seen,
    ):
        made = await served.api.client.send("POST", "/hooks", SHOP)
        which = made.body["id"]
        await served.api.client.send("PATCH", f"/hooks/{which}", {"filter": "event.data.a == 1"})
        await served.api.client.send("POST", f"/hooks/{which}/pause", {"reason": "maintenance"})
        await log_in(seen)
        tabs = ("", "/deliveries", "/edit", "/secrets", "/history", "/test", "/delete")
        paths = ("hooks", "hooks?q=nothing", f"hooks/new?event={event.id}", "hooks/crm/edit")
        for path in (*paths, *(f"hooks/{which}{tab}" for tab in tabs)):
            await seen.page.goto(f"{served.url}/ui/{path}")
            await seen.assert_clean()
            assert await seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        await seen.page.goto(f"{served.url}/ui/hooks/{which}/secrets")
        await seen.page.click("text=Rotate")
        await seen.page.wait_for_selector("#secret")
        await seen.assert_clean()
