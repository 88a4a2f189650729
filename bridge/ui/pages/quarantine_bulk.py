"""Quarantine in bulk: count what a filter asks for, then requeue or drop just that."""

from collections.abc import Mapping
from typing import Any

from bridge.ui.page import Action, Page, View
from bridge.ui.pages.quarantine import FILTERS
from bridge.ui.spans import absolute

_VERBS = {"requeue": "quarantine.requeue_many", "drop": "quarantine.drop_many"}
_MOST_PAGES = 5


async def _show(view: View) -> Mapping[str, Any]:
    verb = view.query.get("do", "requeue")
    which = absolute({name: view.query[name] for name in FILTERS if view.query.get(name)})
    count, exact, found = await _count(view, which)
    return {
        "verb": verb if verb in _VERBS else "requeue",
        "which": which,
        "count": count,
        "exact": exact,
        "found": found,
    }


async def _count(view: View, which: Mapping[str, str]) -> tuple[int, bool, Any]:
    """Returns the number of messages, whether that is all of them, and the first page with the faults of the filter."""
    found = first = await view.list("quarantine.list", (), **which, limit="200")
    count = len(found.items)
    for _ in range(_MOST_PAGES - 1):
        if not found.next:
            break
        found = await view.list("quarantine.list", (), **which, limit="200", cursor=found.next)
        count += len(found.items)
    return count, not found.next, first


async def _run(view: View) -> str:
    which = {name: str(view.form[name]) for name in FILTERS if view.form.get(name)}
    if view.form.get("do") == "drop":
        done = await view.call("quarantine.drop_many", query=which)
        view.notice = f"{done['dropped']} messages were dropped"
    else:
        done = await view.call("quarantine.requeue_many", body=which)
        view.notice = f"{done['requeued']} messages were requeued; what cannot be handled comes back"
        if done["kept"]:
            view.notice += f". {done['kept']} stay: {done['error']}"
    if done["more"]:
        view.notice += ". The time was up before all were done: do it again"
    return "quarantine"


PAGES = (
    Page(
        path="quarantine/bulk",
        section="quarantine",
        template="quarantine/bulk.html",
        show=_show,
        operations=("quarantine.requeue_many", "quarantine.drop_many", "quarantine.list"),
    ),
)
ACTIONS = (
    Action(path="quarantine/bulk", run=_run, operations=("quarantine.requeue_many", "quarantine.drop_many")),
)
