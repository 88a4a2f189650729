"""Points 1 and 2: tasks of operators, with and without JavaScript and on a phone; the API tells the outcome."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from playwright.async_api import Error, Page

from tests.support.waiting import until
from tests.ui_check.seed import FAILING, GOOD, PAUSED
from tests.ui_check.subject import Subject

_MOST_SECONDS = 60
PHONE: Mapping[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


class Clicks:
    """A page whose clicks are counted."""

    def __init__(self, subject: Subject, page: Page) -> None:
        self.subject = subject
        self.page = page
        self.made = 0

    async def open(self, path: str) -> None:
        """Opens a path below /ui/, as a link of somebody does; that is no click."""
        await self.page.goto(self.subject.at(path))

    async def click(self, selector: str) -> None:
        """Clicks the first that fits."""
        self.made += 1
        await self.page.locator(selector).first.click()

    async def sees(self, text: str, within: str = "main") -> None:
        """Waits for the text."""
        await self.page.locator(within).get_by_text(text).first.wait_for()

    def hook(self, name: str) -> str:
        """The id of a hook."""
        return str(self.subject.seeded["hooks"][name])


Task = Callable[[Clicks], Awaitable[None]]


async def _broken(at: Clicks) -> None:
    await at.open("")
    await at.sees(FAILING, "#alarms")


async def _why_not(at: Clicks) -> None:
    event = at.subject.seeded["events"]
    await at.open(f"find?q={event}")
    await at.page.wait_for_url(f"**/ui/events/{event}")
    await at.sees(GOOD)


async def _why_failed(at: Clicks) -> None:
    await at.open("")
    await at.click(f"#alarms .alarm:has-text('{FAILING}') >> text=Look")
    await at.click("main a.row")
    await at.page.locator("#panel article").wait_for()
    await at.sees("503", "#panel")


async def _retry(at: Clicks) -> None:
    which = at.subject.seeded["deliveries"]
    before = await at.subject.get(f"/deliveries/{which}")
    await at.open(f"deliveries/{which}")
    await at.click("main [data-key=r]")
    await _changes(at, f"/deliveries/{which}", "updated_at", before["updated_at"])


async def _replay(at: Clicks) -> None:
    before = {each["id"] for each in await at.subject.items("/replays")}
    await at.open(f"replays/new?count=1&hook={at.hook(GOOD)}&status=SUCCESS")
    await at.click("#start button.p")
    await at.page.wait_for_url("**/ui/replays/*")

    async def made() -> bool:
        return bool({each["id"] for each in await at.subject.items("/replays")} - before)

    await until(made, 10, what="no replay was made")


async def _pause(at: Clicks) -> None:
    hook = at.hook(GOOD)
    await at.open(f"hooks/{hook}")
    await at.click("main >> text=Pause…")
    reason = at.page.locator("main [name=reason]").first
    await reason.fill("for a check")
    await at.click("main form[action$='/pause'] button")
    await _changes(at, f"/hooks/{hook}", "paused", was=False)
    await at.subject.api("POST", f"/hooks/{hook}/resume")


async def _resume(at: Clicks) -> None:
    hook = at.hook(PAUSED)
    await at.open(f"hooks/{hook}")
    await at.click("main form[action$='/resume'] button")
    await _changes(at, f"/hooks/{hook}", "paused", was=True)
    await at.subject.api("POST", f"/hooks/{hook}/pause", {"reason": "for a check"})


async def _rotate(at: Clicks) -> None:
    hook = at.hook(GOOD)
    before = len(await at.subject.items(f"/hooks/{hook}/secrets"))
    await at.open(f"hooks/{hook}")
    await at.click("main a[href$='/secrets']")
    await at.click("main form button.p:has-text('Rotate')")

    async def more() -> bool:
        return len(await at.subject.items(f"/hooks/{hook}/secrets")) > before

    await until(more, 10, what="no secret was added")


async def _put_back(at: Clicks) -> None:
    hook = at.hook(GOOD)
    for text in ("first", "second"):
        await at.subject.api("PATCH", f"/hooks/{hook}", {"description": text})
    await at.open(f"hooks/{hook}")
    await at.click("main a[href$='/history']")
    await at.click("main form[action$='/restore'] button")
    await _changes(at, f"/hooks/{hook}", "description", "second")


async def _fix(at: Clicks) -> None:
    which = (await at.subject.items("/quarantine"))[-1]["id"]
    await at.open("quarantine")
    await at.click(f"main a[href*='{which}']")
    await at.click("main >> text=Fix…")
    body = at.page.locator("main [name=body]")
    if await body.count():
        await body.fill('{"mended": true}')
        await at.page.locator("main [name=type]").fill("ui.mended")
    await at.click("#fix button.p")

    async def gone() -> bool:
        return which not in {each["id"] for each in await at.subject.items("/quarantine")}

    await until(gone, 10, what="the message is still in quarantine")


async def _changes(at: Clicks, path: str, name: str, was: Any) -> None:
    async def changed() -> bool:
        return bool((await at.subject.get(path))[name] != was)

    await until(changed, 10, what=f"{name} of {path} is still {was!r}")


TASKS: Mapping[str, tuple[int, Task]] = {
    "what is broken": (0, _broken),
    "why a hook did not get an event": (0, _why_not),
    "why it failed": (2, _why_failed),
    "retry one": (1, _retry),
    "replay what was counted": (1, _replay),
    "pause": (2, _pause),
    "resume": (1, _resume),
    "rotate a secret": (2, _rotate),
    "put a version back": (2, _put_back),
    "fix and requeue": (3, _fix),
}
"""Tasks with the clicks that they may take."""


async def with_script(subject: Subject) -> list[str]:
    """All tasks by mouse on a desk, then on a phone."""
    return await _done(subject, "desk", {}) + await _done(subject, "phone", PHONE)


async def without_script(subject: Subject) -> list[str]:
    """All tasks without JavaScript."""
    return await _done(subject, "no script", {"java_script_enabled": False})


async def _done(subject: Subject, where: str, context: Mapping[str, Any]) -> list[str]:
    found = []
    for name, (most, task) in TASKS.items():
        try:
            async with asyncio.timeout(_MOST_SECONDS), subject.page(**context) as seen:
                at = Clicks(subject, seen.page)
                await task(at)
        except (Error, AssertionError, IndexError, TimeoutError) as error:
            found.append(f"{name} ({where}): {(str(error) or 'too slow').splitlines()[0]}")
            continue
        if at.made > most:
            found.append(f"{name} ({where}): {at.made} clicks, {most} are promised")
    return found
