"""`./dev shots`: pictures of the operator UI with the data of the demo, for README and docs/ui.md."""

import asyncio
import shutil
from collections.abc import Sequence
from typing import Any

from devtools.choice.broker import open_broker
from devtools.demo.scene import trouble
from devtools.demo.show import Show, running, samples
from devtools.demo.stage import prepared
from devtools.project import ROOT, SetupError, say, tell_environment

FOLDER = ROOT / "docs" / "images"
PAGES = {
    "now": "",
    "deliveries": "deliveries",
    "hooks": "hooks",
    "quarantine": "quarantine",
    "statistics": "statistics",
}
WIDE = {"width": 1280, "height": 800}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": WIDE},
    "dark": {"color_scheme": "dark", "viewport": WIDE},
    "phone": {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}},
}
KEPT = {
    "light": ("now", "deliveries", "hooks", "quarantine", "statistics"),
    "dark": ("now",),
    "phone": ("now",),
}
"""The pictures that are kept: few, as each is downloaded with a clone."""
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main(_: Sequence[str]) -> int:
    """Makes the pictures anew; the exit code."""
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if program is None:
        raise SetupError("there is no chromium on the path: apt-get install chromium")
    tell_environment()
    with (
        open_broker() as broker,
        trouble() as url,
        prepared(broker, orders=True) as stage,
        running(stage) as show,
    ):
        show.publish(*samples())
        show.set_scene(url)
        asyncio.run(_all(program, show))
    return 0


async def _all(program: str, show: Show) -> None:
    from playwright.async_api import async_playwright

    FOLDER.mkdir(exist_ok=True)
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for look, context in LOOKS.items():
            page = await (await browser.new_context(**context)).new_page()
            await page.goto(show.login_link())
            await page.click("form.login button")
            await page.wait_for_selector("nav.side")
            for name in KEPT[look]:
                await page.goto(f"{show.address}/ui/{PAGES[name]}", wait_until="load")
                await page.screenshot(path=FOLDER / f"{name}-{look}.png")
                say("picture", f"docs/images/{name}-{look}.png")
        await browser.close()
