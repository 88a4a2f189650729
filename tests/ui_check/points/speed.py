"""Point 9: how long pages take, how much they transfer, and that nothing shifts while they load."""

import time
from statistics import quantiles
from typing import Any

from tests.ui_check.pages import paths
from tests.ui_check.subject import Subject

_TIMES = 20
_MOST_MS = 100.0
_MOST_BYTES = 60_000
_SHIFT = """
window.shift = 0;
new PerformanceObserver(list => list.getEntries().forEach(each => { if (!each.hadRecentInput) window.shift += each.value; }))
  .observe({type: 'layout-shift', buffered: true});
"""
_BYTES = """
() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
  .reduce((sum, each) => sum + each.transferSize, 0)
"""


async def check(subject: Subject) -> list[str]:
    """What was found, at the data that the bridge has; for large ones see --url."""
    return await _times(subject) + await _loads(subject)


async def _times(subject: Subject) -> list[str]:
    person = await subject.person()
    found = []
    for path in paths(subject):
        taken = []
        for _ in range(_TIMES):
            started = time.perf_counter()
            await person.get(path)
            taken.append((time.perf_counter() - started) * 1000)
        slow = quantiles(taken, n=20)[-1]
        if slow > _MOST_MS:
            found.append(f"/ui/{path} takes {slow:.0f} ms (p95 of {_TIMES}), {_MOST_MS:.0f} are promised")
    return found


async def _loads(subject: Subject) -> list[str]:
    found = []
    for path in paths(subject):
        async with subject.page() as seen:  # a context of its own: nothing is cached
            await seen.page.add_init_script(_SHIFT)
            await seen.page.goto(subject.at(path), wait_until="load")
            size: Any = await seen.page.evaluate(_BYTES)
            shift: Any = await seen.page.evaluate("window.shift")
        if size > _MOST_BYTES:
            found.append(f"/ui/{path} transfers {size} bytes, {_MOST_BYTES} are promised")
        if shift > 0.001:
            found.append(f"/ui/{path} shifts by {shift:.3f} while it loads")
    return found
