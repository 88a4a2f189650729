"""Events: the list, one with its bodies and the decision of every hook, and the form that publishes one."""

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from bridge.bodies.exact import json_text
from bridge.ui.bodies import Body, of_event
from bridge.ui.page import Action, Page, Refused, View
from bridge.ui.pages.deliveries import PANEL, panel

_OPTIONS = {
    "status": "--status",
    "type": "--type",
    "source": "--source",
    "publisher_id": "--publisher-id",
    "webhook_id": "--webhook-id",
    "where": "--where",
    "from": "--since",
    "to": "--until",
}
FILTERS = tuple(_OPTIONS)


async def _list(view: View) -> Mapping[str, Any]:
    found = await view.list("events.list", FILTERS)
    return {"found": found, "filters": FILTERS}


async def _show(view: View) -> Mapping[str, Any]:
    shown = await panel(view)
    if view.partial and shown:
        return {"shown": shown, "template": PANEL}
    event = await view.call("events.show", id=view.id, query={"explain": "true"})
    return {"shown": shown, "event": event, "body": of_event(event)}


async def _form(view: View) -> Mapping[str, Any]:
    given = await _given(view) if view.query.get("again") else {}
    return await _shown_form(view, given, key=str(uuid.uuid4()))


async def _given(view: View) -> Mapping[str, str]:
    """Returns the fields of the form for publishing a known event again."""
    event = await view.call("events.show", id=view.query["again"])
    data = event.get("data")
    return {
        "source": event["source"],
        "type": event["type"],
        "data": "" if data is None else Body.indented(data),
    }


async def _shown_form(
    view: View, given: Mapping[str, str], key: str, faults: Mapping[str, str] | None = None, detail: str = ""
) -> Mapping[str, Any]:
    sources = await view.call("sources.list", query={"limit": "200"})
    return {
        "given": given,
        "key": key,
        "faults": faults or {},
        "detail": detail,
        "sources": [each["name"] for each in sources["items"]],
    }


async def _publish(view: View) -> str | Mapping[str, Any]:
    given = {name: str(view.form.get(name, "")) for name in ("source", "type", "data", "key")}
    body = {name: given[name] for name in ("source", "type") if given[name]}
    text = json_text(body)[:-1] + ("," if body else "") + f'"data":{given["data"] or "null"}}}'
    answer = await view.ask("events.publish", body=text.encode(), headers={"Idempotency-Key": given["key"]})
    if answer.status in {400, 409, 413, 415, 422}:
        told = answer.document.get("invalid-params", [])
        faults = {each["name"].partition(".")[0] or "data": each["reason"] for each in told}
        return await _shown_form(view, given, given["key"], faults, answer.document.get("detail", ""))
    if not answer.ok:
        raise Refused(answer)
    return f"events?publisher_id={quote(answer.document['message_id'], '')}"


_NEW = Page(
    path="events/new",
    section="events",
    template="events/new.html",
    show=_form,
    operations=("events.publish", "sources.list", "events.show"),
    command="publish",
)
PAGES = (
    Page(
        path="events",
        section="events",
        template="events/list.html",
        show=_list,
        operations=("events.list",),
        topics=("events",),
        command="events list",
        options=_OPTIONS,
        export="events.list",
    ),
    _NEW,
    Page(
        path="events/{id}",
        section="events",
        template="events/show.html",
        show=_show,
        operations=("events.show", "deliveries.show"),
        topics=("events", "deliveries"),
        command="events show --explain {id}",
    ),
)
ACTIONS = (Action(path="events", run=_publish, operations=("events.publish",), form=_NEW),)
