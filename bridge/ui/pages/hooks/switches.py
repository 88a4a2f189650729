"""What is done to a hook: switched on and off, paused, tested, deleted."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from bridge.ui.page import Action, Page, Refused, View
from bridge.ui.pages.hooks.state import seen


def _switch(verb: str) -> Action:
    async def run(view: View) -> str:
        hook = await view.call(f"hooks.{verb}", id=view.id)
        return f"hooks/{hook['id']}"

    return Action(path=f"hooks/{{id}}/{verb}", run=run, operations=(f"hooks.{verb}",))


async def _pause(view: View) -> str:
    reason = str(view.form.get("reason", "")).strip()
    hook = await view.call("hooks.pause", id=view.id, body={"reason": reason})
    return f"hooks/{hook['id']}"


async def _test_form(view: View) -> Mapping[str, Any]:
    return await _tested(view)


async def _test(view: View) -> Mapping[str, Any]:
    """Sends the test, and returns the page with its result, or with what is wrong about it."""
    given = {name: str(view.form.get(name, "")) for name in ("type", "data")}
    body: dict[str, Any] = {"type": given["type"]} if given["type"] else {}
    if given["data"].strip():
        try:
            body["data"] = json.loads(given["data"])
        except ValueError as error:
            return {"http_status": 422, **await _tested(view, given, faults={"data": f"is no JSON: {error}"})}
    elif event := str(view.form.get("event", "")):
        body = {"event_id": event}
    answer = await view.ask("hooks.test", id=view.id, body=body)
    if answer.ok:
        return {"http_status": 200, **await _tested(view, given, result=answer.document)}
    if answer.status not in {400, 409, 422}:
        raise Refused(answer)
    faults = {each["name"]: each["reason"] for each in answer.document.get("invalid-params", [])}
    detail = "" if faults else answer.document["detail"]
    return {"http_status": answer.status, **await _tested(view, given, faults=faults, detail=detail)}


async def _tested(view: View, given: Mapping[str, str] | None = None, **more: Any) -> dict[str, Any]:
    known = {"given": given or {"type": "", "data": ""}, "result": None, "faults": {}, "detail": ""}
    return {**known, **more, **await seen(view, "test")}


async def _delete_form(view: View) -> Mapping[str, Any]:
    shown = await seen(view, "delete")
    waiting = await view.call(
        "deliveries.list",
        query={"hook": shown["hook"]["id"], "status": "PENDING,RETRYING", "limit": "1", "count": "true"},
    )
    more = waiting["more"]
    return {**shown, "waiting": len(waiting["items"]) + more["count"], "exact": more["exact"]}


async def _delete(view: View) -> str:
    lane = "drain" if view.form.get("lane") == "drain" else "drop"
    match = str(view.form.get("etag", ""))
    await view.call("hooks.delete", id=view.id, query={"lane": lane}, headers={"If-Match": match})
    return "hooks"


def _page(verb: str, show: Callable[[View], Awaitable[Mapping[str, Any]]], *operations: str) -> Page:
    return Page(
        path=f"hooks/{{id}}/{verb}",
        section="hooks",
        template=f"hooks/{verb}.html",
        show=show,
        operations=operations,
        command=f"hooks {verb} {{id}}",
    )


_TEST = _page("test", _test_form, "hooks.test", "hooks.show")
PAGES = (_TEST, _page("delete", _delete_form, "hooks.delete", "hooks.show", "deliveries.list"))
ACTIONS = (
    *map(_switch, ("enable", "disable", "resume")),
    Action(path="hooks/{id}/pause", run=_pause, operations=("hooks.pause",)),
    Action(path="hooks/{id}/test", run=_test, operations=("hooks.test",), form=_TEST),
    Action(path="hooks/{id}/delete", run=_delete, operations=("hooks.delete",)),
)
