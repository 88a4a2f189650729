"""Deliveries: the list, and one with all of its attempts."""

from collections.abc import Mapping
from typing import Any

from bridge.ui.page import Action, Page, View

FILTERS = ("status", "hook", "type", "event_id", "from", "to", "updated_from", "updated_to", "order")
_OPTIONS = {
    "status": "--status",
    "hook": "--hook",
    "type": "--type",
    "event_id": "--event",
    "from": "--since",
    "to": "--until",
    "updated_from": "--updated-since",
    "updated_to": "--updated-until",
    "order": "--order",
}


async def _list(view: View) -> Mapping[str, Any]:
    panel = view.query.get("panel")
    shown = await _one(view, panel) if panel else None
    if view.partial and shown:
        return {"shown": shown, "template": "deliveries/show.html"}
    found = await view.list("deliveries.list", FILTERS)
    return {"found": found, "filters": FILTERS, "shown": shown}


async def _show(view: View) -> Mapping[str, Any]:
    return {"shown": await _one(view, view.id)}


async def _one(view: View, which: str) -> Mapping[str, Any]:
    delivery = await view.call("deliveries.show", id=which)
    generations: dict[int, list[Any]] = {}
    for attempt in delivery["attempts"]:
        generations.setdefault(attempt["generation"], []).append(attempt)
    return {"delivery": delivery, "generations": generations}


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
    ),
    Page(
        path="deliveries/{id}",
        section="deliveries",
        template="deliveries/show.html",
        show=_show,
        operations=("deliveries.show",),
        topics=("deliveries",),
        command="deliveries show {id}",
    ),
)
ACTIONS = (
    Action(path="deliveries/{id}/retry", run=_retry, operations=("deliveries.retry",)),
    Action(path="deliveries/{id}/cancel", run=_cancel, operations=("deliveries.cancel",)),
)
