"""Point 8: eight tabs follow what happens; the stream survives its tab, a selection holds rows, a restart is noticed."""

from typing import Any

from playwright.async_api import Page

from tests.support.waiting import holds, until
from tests.ui_check.seed import GOOD
from tests.ui_check.subject import WATCH, Subject

_TABS = 8
_SOON = 8
"""Seconds for a change: 3 on an idle machine, more where the check shares it."""


async def check(subject: Subject) -> list[str]:
    """What was found."""
    async with subject.page() as seen:
        pages: list[Page] = [seen.page]
        for _ in range(_TABS - 1):
            page = await seen.page.context.new_page()
            await page.add_init_script(WATCH)
            pages.append(page)
        for page in pages:
            await page.goto(subject.at("deliveries?hook=" + GOOD))
        if subject.scene is None or subject.bridge is None:
            return []
        await _publish(subject)
        last = pages[-1]
        await last.bring_to_front()
        found = await _told(last, "with eight tabs")
        await pages.pop(0).close()
        await last.reload()
        await _publish(subject)
        found += await _told(last, "after the first tab closed")
        found += await _selected(subject, last)
        found += await _restarted(subject, last)
    return found


async def _publish(subject: Subject) -> None:
    assert subject.scene
    await subject.scene.queues.publish(subject.source, [b'{"n":1}'], message_type="ui.check")


async def _told(page: Page, when: str) -> list[str]:
    try:
        await page.wait_for_selector("button.new", timeout=_SOON * 1000)
    except TimeoutError:
        return [f"no new row {when}"]
    return []


async def _rows(page: Page) -> Any:
    return await page.evaluate("[...document.querySelectorAll('main tbody tr')].map(each => each.id)")


async def _selected(subject: Subject, page: Page) -> list[str]:
    await page.reload()
    await page.locator("main input[name=id]").nth(1).check()
    before = await _rows(page)
    await _publish(subject)

    async def same() -> bool:
        return (
            bool(await _rows(page) == before)
            and await page.locator("main input[name=id]:checked").count() == 1
        )

    try:
        await holds(same, 3, what="rows moved while one was selected")
    except AssertionError as error:
        return [str(error)]
    return []


async def _restarted(subject: Subject, page: Page) -> list[str]:
    bridge = subject.bridge
    assert bridge
    listening = bridge.url.partition("//")[2]
    await bridge.stop()
    bridge.write(http={**bridge.settings["http"], "listen": listening})
    await bridge.start()
    await page.wait_for_timeout(500)
    await _publish(subject)

    async def heard() -> bool:
        return await page.locator("button.new").count() == 1

    try:
        await until(heard, 25, what="the page does not follow a bridge that was started again")
    except AssertionError as error:
        return [str(error)]
    return []
