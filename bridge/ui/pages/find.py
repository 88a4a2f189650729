"""Find: ids, hooks, event types and pages by what is pasted or typed; the palette shows the same."""

import asyncio
import re
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, NamedTuple

from bridge.ui.page import Page, View

_ID = re.compile(r"[0-9a-fA-F]{8}[0-9a-fA-F-]{0,28}")
_MOST = 8
_LONGEST = 512


class Hit(NamedTuple):
    """Something that was found: its kind, its name, a word about it, and its page."""

    kind: str
    name: str
    about: str
    path: str


async def _show(view: View) -> str | Mapping[str, Any]:
    text = view.query.get("q", "").strip()[:_LONGEST]
    exact, others = await _found(view, text) if text else ([], [])
    if len(exact) == 1 and not view.partial:
        return exact[0].path
    return {
        "text": text,
        "hits": [*exact, *others],
        "template": "find/hits.html" if view.partial else "find/find.html",
    }


async def _found(view: View, text: str) -> tuple[Sequence[Hit], Sequence[Hit]]:
    """Returns what has exactly this id, and what has it in its name."""
    by_id: list[Awaitable[Sequence[Hit]]] = [
        _published(view, "publisher_id", text),
        _published(view, "webhook_id", text),
    ]
    if _ID.fullmatch(text):
        by_id += [
            _one(view, "deliveries", "event_type", text),
            _one(view, "events", "type", text),
            _one(view, "quarantine", "reason", text),
            _one(view, "replays", "status", text),
        ]
    exact, named = await asyncio.gather(
        asyncio.gather(*by_id), asyncio.gather(_hooks(view, text), _type(view, text))
    )
    hits = [hit for part in exact for hit in part]
    return list({hit.path: hit for hit in hits}.values()), [hit for part in named for hit in part]


async def _one(view: View, noun: str, about: str, which: str) -> Sequence[Hit]:
    """Returns the object with this id or this beginning of its id."""
    if not view.may(f"{noun}.show") or not view.has(f"{noun}/{{id}}"):
        return []
    answer = await view.ask(f"{noun}.show", id=which)
    if not answer.ok:
        return []
    found = answer.document
    return [Hit(noun, found["id"], str(found.get(about, "")), f"{noun}/{found['id']}")]


async def _published(view: View, name: str, text: str) -> Sequence[Hit]:
    answer = await view.ask("events.list", query={name: text, "limit": "5"})
    items = answer.document["items"] if answer.ok else []
    return [Hit("events", each["id"], each["type"], f"events/{each['id']}") for each in items]


async def _hooks(view: View, text: str) -> Sequence[Hit]:
    answer = await view.ask("hooks.list", query={"q": text, "limit": str(_MOST)})
    items = answer.document["items"] if answer.ok else []
    there = view.has("hooks/{id}")
    return [
        Hit("hooks", each["name"], "", f"hooks/{each['id']}" if there else f"deliveries?hook={each['id']}")
        for each in items
    ]


async def _type(view: View, text: str) -> Sequence[Hit]:
    answer = await view.ask("events.list", query={"type": text, "limit": "1"})
    return (
        [Hit("types", text, "", view.below("events", type=text))]
        if answer.ok and answer.document["items"]
        else []
    )


PAGES = (
    Page(
        path="find",
        section="",
        template="find/find.html",
        show=_show,
        operations=(
            "events.list",
            "hooks.list",
            "deliveries.show",
            "events.show",
            "quarantine.show",
            "replays.show",
        ),
    ),
)
