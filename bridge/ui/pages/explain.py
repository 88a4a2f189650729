"""Explain: what would come of a pasted message. Nothing is sent."""

import json
from collections.abc import Mapping
from typing import Any

from bridge.bodies.exact import json_text
from bridge.ui.bodies import Body
from bridge.ui.page import Action, Page, Refused, View

SAMPLES: Mapping[str, Any] = {
    "json": {"order": {"id": 4711, "total": 99.5, "currency": "EUR"}},
    "splynx": {
        "type": "customers",
        "call": "create",
        "source": "api",
        "data": {
            "model": "models\\admin\\customers\\Customers",
            "action": "create",
            "attributes": {"id": 17, "name": "Ada", "status": "active"},
        },
    },
    "phlix": {
        "event_type": "playback.started",
        "payload": {"user_id": "u-1", "media_item_id": "m-7"},
        "occurred_at": "2025-06-01T18:30:00+00:00",
    },
    "plinqx": {
        "event": "tool.called",
        "timestamp": "2025-05-05T07:08:09Z",
        "data": {"tool": "search", "duration_ms": 12},
    },
    "cloudevents": {
        "specversion": "1.0",
        "type": "com.example.order.created",
        "source": "/orders",
        "id": "A-1",
        "data": {"total": 99.5},
    },
}
"""A body for each format that is often used."""
_FIELDS = ("source", "type", "routing_key", "headers", "body")
_REFUSED = {400, 409, 413, 422}


async def _form(view: View) -> Mapping[str, Any]:
    sample = SAMPLES.get(view.query.get("sample", ""))
    return await _shown(view, {"body": "" if sample is None else Body.indented(sample)})


async def _shown(view: View, given: Mapping[str, str], **more: Any) -> Mapping[str, Any]:
    sources = await view.call("sources.list", query={"limit": "200"})
    names = [(each["name"], each["name"]) for each in sources["items"]]
    return {
        "given": given,
        "sources": names,
        "samples": list(SAMPLES),
        "faults": {},
        "detail": "",
        "found": None,
        **more,
    }


async def _explain(view: View) -> Mapping[str, Any]:
    given = {name: str(view.form.get(name, "")) for name in _FIELDS}
    try:
        headers = json.loads(given["headers"] or "{}")
    except (ValueError, RecursionError):
        return await _shown(view, given, faults={"headers": "is no JSON"})
    message: dict[str, Any] = {
        "body": given["body"].replace("\r\n", "\n"),
        "headers": headers,
        "properties": {"type": given["type"]} if given["type"] else {},
        "routing_key": given["routing_key"],
    }
    if given["source"]:
        message["source"] = given["source"]
    answer = await view.ask("explain.message", body=json_text(message).encode())
    if answer.status in _REFUSED:
        told = answer.document.get("invalid-params", [])
        faults = {each["name"].partition(".")[0]: each["reason"] for each in told}
        return await _shown(view, given, faults=faults, detail=answer.document.get("detail", ""))
    if not answer.ok:
        raise Refused(answer)
    return {**await _shown(view, given, found=answer.document), "http_status": 200}


_PAGE = Page(
    path="explain",
    section="events",
    template="explain/explain.html",
    show=_form,
    operations=("explain.message", "sources.list"),
    command="explain FILE",
)
PAGES = (_PAGE,)
ACTIONS = (Action(path="explain", run=_explain, operations=("explain.message",), form=_PAGE),)
