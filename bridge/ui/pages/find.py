"""Find: ids, hooks and event types by what is pasted or typed; the palette shows the same."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bridge.ui.page import Page, View

_LONGEST = 512
_IDS = frozenset({"id", "publisher_id", "webhook_id", "request_id"})
_PAGES = {
    "event": "events/{id}",
    "delivery": "deliveries/{id}",
    "quarantine": "quarantine/{id}",
    "replay": "replays/{id}",
    "hook": "hooks/{id}",
}


class Hit(NamedTuple):
    """Something that was found: its kind, its name, and its page."""

    kind: str
    name: str
    path: str


async def _show(view: View) -> str | Mapping[str, Any]:
    text = view.query.get("q", "").strip()[:_LONGEST]
    found = (await view.call("find.show", query={"q": text}))["items"] if text else []
    hits = _hits(view, found)
    by_id = _hits(view, [each for each in found if each["by"] in _IDS])
    if len(by_id) == 1 and not view.partial:
        return by_id[0].path
    return {"text": text, "hits": hits, "template": "find/hits.html" if view.partial else "find/find.html"}


def _hits(view: View, found: Sequence[Mapping[str, Any]]) -> list[Hit]:
    hits = (Hit(each["kind"], each["name"], _path(view, each)) for each in found)
    return [hit for hit in hits if hit.path]


def _path(view: View, found: Mapping[str, Any]) -> str:
    """Returns the page of what was found; nothing if there is none."""
    kind, which = found["kind"], found["id"]
    page = _PAGES.get(kind, "")
    if page and view.has(page):
        return page.replace("{id}", which)
    if kind == "hook":
        return view.below("deliveries", hook=which)
    if kind == "event_type":
        return view.below("events", type=which)
    if kind == "audit" and view.has("audit"):
        return view.below("audit", q=which)
    return ""


PAGES = (Page(path="find", section="", template="find/find.html", show=_show, operations=("find.show",)),)
