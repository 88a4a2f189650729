"""Point 4: the browser complains about nothing, and no page has code or style in an attribute."""

from tests.ui_check.pages import paths
from tests.ui_check.subject import Subject, Watched

SCAN = r"""
() => [...document.querySelectorAll('*')].flatMap(element => [...element.attributes].filter(({name, value}) =>
  name.startsWith('on') || name === 'style' || name.startsWith('hx-on')
  || (/^\s*javascript:/i.test(value) && ['href', 'src', 'action', 'formaction', 'data'].includes(name))
).map(({name, value}) => element.tagName + ' ' + name + '=' + value.slice(0, 60)))
"""


async def check(subject: Subject) -> list[str]:
    """What was found."""
    found: list[str] = []
    async with subject.page() as seen:
        for path in ("login", *paths(subject)):
            answer = await seen.page.goto(subject.at(path))
            if answer is None or answer.status != 200:
                found.append(f"/ui/{path}: {answer.status if answer else 'no answer'}")
            found += await complaints(seen, path)
    return found


async def complaints(seen: Watched, path: str) -> list[str]:
    """What the browser complained about since the last call, and what is in the page that may not be."""
    await seen.page.wait_for_load_state("load")
    errors, seen.errors = seen.errors, []
    found = [f"console: {each}" for each in errors]
    found += [f"policy: {each}" for each in await seen.page.evaluate("window.violations")]
    found += await seen.page.evaluate(SCAN)
    return [f"/ui/{path}: {each}" for each in found]
