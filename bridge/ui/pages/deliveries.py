"""Deliveries: the list, and one with all of its attempts."""

from collections.abc import Mapping
from typing import Any

from bridge.ui import curl
from bridge.ui.bodies import MOST_TEXT, of_text
from bridge.ui.compare import changes
from bridge.ui.page import Action, Page, View
from bridge.ui.words import parsed_time

_OPTIONS = {
    "status": "--status",
    "hook": "--hook",
    "type": "--type",
    "event_id": "--event",
    "source": "--source",
    "outcome": "--outcome",
    "status_code": "--code",
    "reason": "--reason",
    "replay": "--replay",
    "from": "--since",
    "to": "--until",
    "updated_from": "--updated-since",
    "updated_to": "--updated-until",
    "order": "--order",
}
FILTERS = tuple(_OPTIONS)
PANEL = "deliveries/show.html"


async def _list(view: View) -> Mapping[str, Any]:
    shown = await panel(view)
    if view.partial and shown:
        return {"shown": shown, "template": PANEL}
    found = await view.list("deliveries.list", FILTERS)
    return {"found": found, "filters": FILTERS, "shown": shown}


async def panel(view: View) -> Mapping[str, Any] | None:
    """Returns the delivery of the open panel, if there is one; a part of a page is then PANEL alone."""
    which = view.query.get("panel")
    return await _one(view, which) if which else None


async def _show(view: View) -> Mapping[str, Any]:
    shown = await _one(view, view.id)
    if view.query.get("request") is None:
        return {"shown": shown}
    answer = await view.ask("deliveries.request", id=view.id)
    request = answer.document if answer.ok else None
    body = of_text(request["body_text"], request["body_base64"]) if request else None
    detail = "" if answer.ok else answer.document.get("detail") or answer.document["title"]
    line = curl.command(request, body.raw) if request and body and len(body.raw) <= MOST_TEXT else None
    return {"shown": {**shown, "request": request, "body": body, "detail": detail, "curl": line}}


async def _one(view: View, which: str) -> Mapping[str, Any]:
    delivery = await view.call("deliveries.show", id=which)
    generations: dict[int, list[Any]] = {}
    before: Mapping[str, Any] | None = None
    for attempt in delivery["attempts"]:
        compared = [] if before is None else changes(before, attempt)
        generations.setdefault(attempt["generation"], []).append({**attempt, "changes": compared})
        before = attempt
    first = parsed_time(delivery["created_at"])
    points = [
        (
            (parsed_time(each["started_at"]) - first).total_seconds(),
            each["duration_ms"] / 1000,
            each["outcome"] == "delivered",
        )
        for each in delivery["attempts"]
    ]
    return {
        "delivery": delivery,
        "generations": generations,
        "points": points,
        "request": None,
        "detail": "",
        "curl": None,
    }


async def _retry(view: View) -> str:
    delivery = await view.call("deliveries.retry", id=view.id)
    return f"deliveries/{delivery['id']}"


async def _cancel(view: View) -> str:
    delivery = await view.call("deliveries.cancel", id=view.id)
    return f"deliveries/{delivery['id']}"


PAGES = (
    Page(
        path="deliveries",
        section="deliveries",
        template="deliveries/list.html",
        show=_list,
        operations=("deliveries.list", "deliveries.show"),
        topics=("deliveries",),
        command="deliveries list",
        options=_OPTIONS,
        export="deliveries.list",
    ),
    Page(
        path="deliveries/{id}",
        section="deliveries",
        template="deliveries/show.html",
        show=_show,
        operations=("deliveries.show", "deliveries.request"),
        topics=("deliveries",),
        command="deliveries show {id}",
    ),
)
ACTIONS = (
    Action(path="deliveries/{id}/retry", run=_retry, operations=("deliveries.retry",)),
    Action(path="deliveries/{id}/cancel", run=_cancel, operations=("deliveries.cancel",)),
)
