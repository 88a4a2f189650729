"""Replays: the list, one with its progress and results, and the form that counts before it starts."""

from collections.abc import Mapping
from typing import Any

from bridge.ui.page import Action, Page, Refused, View
from bridge.ui.spans import absolute

FIELDS = ("hook", "status", "type", "source", "outcome", "status_code", "from", "to", "missing")
RATE = "50/s"
_REFUSED = {400, 409, 422}


async def _list(view: View) -> Mapping[str, Any]:
    return {"found": await view.list("replays.list", ())}


async def _show(view: View) -> Mapping[str, Any]:
    return {"replay": await view.call("replays.show", id=view.id)}


async def _form(view: View) -> Mapping[str, Any]:
    """Shows the form; with `count` in the query what it asks for is counted, and may be started."""
    given = {name: view.query.get(name, "") for name in (*FIELDS, "rate")}
    given["status"] = given["status"] or ("" if given["missing"] else "FAILED")
    if "rate" not in view.query:
        given["rate"] = RATE
    if not any(view.query.get(name) for name in (*FIELDS, "count")):
        return _shown(given)
    which = {name: given[name] for name in FIELDS if given[name]}
    counted = absolute(which)
    answer = await view.ask("replays.create", body={**_asked(counted, given["rate"]), "dry_run": True})
    if answer.status in _REFUSED:
        return _shown(given, answer.document)
    if not answer.ok:
        raise Refused(answer)
    return {**_shown(given), "plan": answer.document, "which": counted}


def _shown(given: Mapping[str, str], problem: Mapping[str, Any] | None = None) -> dict[str, Any]:
    told = (problem or {}).get("invalid-params", [])
    faults = {each["name"].removeprefix("filter."): each["reason"] for each in told}
    return {
        "given": given,
        "faults": faults,
        "detail": (problem or {}).get("detail", "") if not faults.keys() & {*FIELDS, "rate"} else "",
        "plan": None,
        "which": {},
    }


def _asked(which: Mapping[str, str], rate: str) -> dict[str, Any]:
    """Returns the body of the request."""
    made: dict[str, Any] = dict(which)
    if "missing" in made:
        made["missing"] = True
        made.pop("status", None)
    if "status" in made:
        made["status"] = made["status"].split(",")
    code = made.get("status_code", "")
    if code.removeprefix("-").isdecimal():
        made["status_code"] = int(code)
    return {"filter": made, "rate": rate or None}


async def _start(view: View) -> str | Mapping[str, Any]:
    given = {name: str(view.form.get(name, "")) for name in (*FIELDS, "rate")}
    which = {name: given[name] for name in FIELDS if given[name]}
    answer = await view.ask("replays.create", body=_asked(which, given["rate"]))
    if answer.status in _REFUSED:
        return _shown(given, answer.document)
    if not answer.ok:
        raise Refused(answer)
    return f"replays/{answer.document['id']}"


async def _cancel(view: View) -> str:
    replay = await view.call("replays.cancel", id=view.id)
    return f"replays/{replay['id']}"


_NEW = Page(
    path="replays/new",
    section="replays",
    template="replays/new.html",
    show=_form,
    operations=("replays.create",),
    command="replay --dry-run",
    options={
        "hook": "--hook",
        "status": "--status",
        "type": "--type",
        "source": "--source",
        "from": "--since",
        "to": "--until",
        "rate": "--rate",
    },
)
PAGES = (
    Page(
        path="replays",
        section="replays",
        template="replays/list.html",
        show=_list,
        operations=("replays.list",),
        topics=("replays",),
        command="replay list",
    ),
    _NEW,
    Page(
        path="replays/{id}",
        section="replays",
        template="replays/show.html",
        show=_show,
        operations=("replays.show",),
        topics=("replays", "deliveries"),
        command="replay show {id}",
    ),
)
ACTIONS = (
    Action(path="replays", run=_start, operations=("replays.create",), form=_NEW),
    Action(path="replays/{id}/cancel", run=_cancel, operations=("replays.cancel",)),
)
