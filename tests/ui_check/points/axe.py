"""Point 3: axe finds nothing on any page, in any state and look."""

from pathlib import Path
from typing import Any

import axe_playwright_python
from playwright.async_api import Page

from tests.ui_check.pages import paths
from tests.ui_check.subject import Subject, Watched
from tests.ui_check.troubles import busy

_SOURCE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
_RUN = """
rules => axe.run(document, {resultTypes: ['violations'], runOnly: rules.length ? {type: 'rule', values: rules} :
  {type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}}).then(found =>
  found.violations.map(each => each.id + ' ' + each.nodes.slice(0, 3).map(node => node.target.join(' ')).join(', ')))
"""
_OF_LOOKS = ("color-contrast", "target-size", "scrollable-region-focusable", "link-in-text-block")
"""The rules whose outcome changes with colours and width."""
LOOKS = (("light", 1280), ("dark", 390), ("light", 390), ("dark", 1280))
_QUICK = 2


async def check(subject: Subject) -> list[str]:
    """What axe found."""
    looks = LOOKS[:_QUICK] if subject.quick else LOOKS
    found: list[str] = []
    async with subject.page() as seen:
        for path in paths(subject):
            await seen.page.goto(subject.at(path))
            found += await _looked(seen.page, path, looks)
        found += await _dialogs(subject, seen, looks)
        await seen.page.goto(subject.at("deliveries"))
        async with busy(subject):
            found += await _status(seen, subject.at("events"), 503)
            found += await _looked(seen.page, "events, 503", looks)
    async with subject.page("viewer") as seen:
        for path, status in (("audit", 403), ("hooks/new", 403), ("nothing-here", 404)):
            found += await _status(seen, subject.at(path), status)
            found += await _looked(seen.page, f"{path} as viewer", looks)
    return [*dict.fromkeys(found)]


async def _status(seen: Watched, url: str, status: int) -> list[str]:
    answer = await seen.page.goto(url)
    got = answer.status if answer else 0
    return [] if got == status else [f"{url}: {got} in place of {status}"]


async def _dialogs(subject: Subject, seen: Watched, looks: Any) -> list[str]:
    await seen.page.goto(subject.at("deliveries"))
    await seen.page.keyboard.press("?")
    await seen.page.wait_for_selector("#keys[open]")
    found = await _looked(seen.page, "keys", looks)
    await seen.page.goto(subject.at("deliveries"))
    await seen.page.keyboard.press("Control+k")
    await seen.page.keyboard.type("ui-check")
    await seen.page.wait_for_selector("#hits [role=option]")
    return found + await _looked(seen.page, "palette", looks)


async def _looked(page: Page, what: str, looks: Any) -> list[str]:
    await page.evaluate(_SOURCE)
    found = []
    for number, (scheme, width) in enumerate(looks):
        rules = _OF_LOOKS if number and len(looks) == _QUICK else ()
        await page.emulate_media(color_scheme=scheme)
        await page.set_viewport_size({"width": width, "height": 900})
        found += [f"/ui/{what} ({scheme}, {width}): {each}" for each in await page.evaluate(_RUN, [*rules])]
    return found
