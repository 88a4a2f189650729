"""Point 5: hostile texts are shown as they are and do nothing, on pages and in CSV."""

import csv
import io
import re
from collections.abc import Sequence
from urllib.parse import quote

from bridge.ui.pages import PAGES
from bridge.ui.words import visible
from tests.ui_check.hostile import TEXTS
from tests.ui_check.pages import paths
from tests.ui_check.seed import HOSTILE, PAUSED
from tests.ui_check.subject import Subject, Watched

_FOREIGN = """
() => [...document.querySelectorAll('iframe, object, embed, base, math, video, template, style, meta[http-equiv], ' +
  'link:not([href*="/ui/static/"]), script:not([src*="/ui/static/"]), a[href*="evil.test"], img, [autofocus]:not(input)')]
  .map(each => each.outerHTML.slice(0, 80))
"""
_FORMULA = re.compile(r"^[=+\-@\t\r]")
_NUMBER = re.compile(r"^-?[0-9.]+$")
_QUERIES = (
    "deliveries?type=",
    "deliveries?hook=",
    "events?type=",
    "events?where=",
    "hooks?q=",
    "find?q=",
    "quarantine?source=",
    "login?return=",
)


async def check(subject: Subject) -> list[str]:
    """What was found."""
    found: list[str] = []
    async with subject.page() as seen:
        for path in paths(subject):
            await seen.page.goto(subject.at(path))
            found += await _inert(seen, path)
        found += await _events(subject, seen)
        found += await _queries(subject, seen)
        await seen.page.goto(subject.at(f"hooks/{subject.seeded['hooks'][PAUSED]}"))
        if visible(HOSTILE) not in await seen.page.inner_text("main"):
            found.append("the reason of a pause is not shown verbatim")
    return found + await _formulas(subject)


async def _events(subject: Subject, seen: Watched) -> list[str]:
    """Each seeded event alone: its text stands there as it is."""
    found = []
    events = await subject.items("/events?limit=200")
    for event in events[:: 4 if subject.quick else 1]:
        await seen.page.goto(subject.at(f"events/{event['id']}"))
        found += await _inert(seen, f"events/{event['id']}")
        text = await seen.page.evaluate("document.querySelector('main').textContent")
        if (wanted := visible(event["type"])) not in text:
            found.append(f"/ui/events/{event['id']}: the type is not verbatim: {wanted!r}")
    return found


async def _queries(subject: Subject, seen: Watched) -> list[str]:
    """Each text in each parameter of a query; they change nothing of a page but its own field."""
    found = []
    texts: Sequence[str] = TEXTS[::9] if subject.quick else TEXTS
    for start in _QUERIES:
        for text in texts:
            path = start + quote(text, safe="")
            answer = await seen.page.goto(subject.at(path))
            if answer is None or answer.status >= 500:
                found.append(f"/ui/{path}: {answer.status if answer else 'no answer'}")
            found += await _inert(seen, path)
    return found


async def _inert(seen: Watched, path: str) -> list[str]:
    await seen.page.wait_for_load_state("load")
    found = [each for each in seen.errors if "status of 4" not in each]
    seen.errors = []
    ran = await seen.page.evaluate("window.ran")
    found += [f"{ran} calls of a text"] if ran else []
    found += [f"markup of a text: {each}" for each in await seen.page.evaluate(_FOREIGN)]
    return [f"/ui/{path}: {each}" for each in found]


async def _formulas(subject: Subject) -> list[str]:
    person = await subject.person()
    found = []
    for page in PAGES:
        if not page.export or "{id}" in page.path:
            continue
        sheet = await person.get(f"{page.path}.csv")
        if sheet.status != 200 or "attachment" not in sheet.headers.get("Content-Disposition", ""):
            found.append(f"/ui/{page.path}.csv: {sheet.status}, no attachment")
        for row in csv.reader(io.StringIO(sheet.text, newline="")):
            found += [
                f"/ui/{page.path}.csv: a formula {cell!r}"
                for cell in row
                if _FORMULA.match(cell) and not _NUMBER.match(cell)
            ]
    return found
