"""Quarantine: the list with its counts by reason, one message with what is wrong with it, and the form that corrects it."""

import json
import unicodedata
from collections.abc import Mapping
from typing import Any

from bridge.ui.bodies import Body, of_text
from bridge.ui.page import Action, Page, Refused, View

FILTERS = ("source", "reason", "from", "to")
_OPTIONS = {"source": "--source", "reason": "--reason", "from": "--since", "to": "--until"}
_MOST_EDITED = 256_000
_REFUSED = {400, 409, 413, 422}


async def _list(view: View) -> Mapping[str, Any]:
    found = await view.list("quarantine.list", FILTERS)
    overview = await view.ask("overview.show")
    alarms = overview.document["alarms"] if overview.ok else []
    return {
        "found": found,
        "filters": FILTERS,
        "counts": [each for each in alarms if each["kind"] == "quarantine"],
    }


async def _show(view: View) -> Mapping[str, Any]:
    message = await view.call("quarantine.show", id=view.id)
    return await _shown(view, message, _fields(message), fixing=view.query.get("fix") is not None)


async def _shown(
    view: View,
    message: Mapping[str, Any],
    given: Mapping[str, str],
    *,
    fixing: bool,
    faults: Mapping[str, str] | None = None,
    detail: str = "",
    tried: Mapping[str, Any] | None = None,
) -> Mapping[str, Any]:
    """Returns what the page needs; `given` are the fields of the form, `tried` is the outcome of its dry run."""
    return {
        "message": message,
        "body": of_text(message["body_text"], message["body_base64"]),
        "given": given,
        "fixing": fixing and view.may("quarantine.requeue"),
        "editable": _is_editable(message["body_text"]),
        "faults": faults or {},
        "detail": detail,
        "now": tried or await _rehearsed(view, {}),
        "corrected": tried is not None,
    }


async def _rehearsed(view: View, changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns what would come of the message now: the answer of a dry run, or `detail` if it cannot go back at all."""
    if not view.may("quarantine.requeue"):
        return {}
    answer = await view.ask("quarantine.requeue", id=view.id, body={**changes, "dry_run": True})
    return answer.document if answer.ok else {"detail": answer.document.get("detail", "")}


def _fields(message: Mapping[str, Any]) -> dict[str, str]:
    properties = message["properties"]
    return {
        "body": message["body_text"] or "",
        "type": properties.get("type", ""),
        "content_type": properties.get("content_type", ""),
        "headers": Body.indented(message["headers"]),
    }


def _is_editable(text: str | None) -> bool:
    """Returns whether a text comes back from a form as it was: without control characters, and not too long."""
    if text is None or len(text) > _MOST_EDITED:
        return False
    return not any(
        unicodedata.category(each) in {"Cc", "Cs"} and each not in "\t\n"
        for each in text.replace("\r\n", "\n")
    )


async def _fix(view: View) -> str | Mapping[str, Any]:
    """Requeues the message with what was changed in the form, or only says what would come of it."""
    message = await view.call("quarantine.show", id=view.id)
    given = {name: str(view.form.get(name, "")) for name in ("body", "type", "content_type", "headers")}
    try:
        changes = _changes(message, given)
    except ValueError as error:
        return await _shown(view, message, given, fixing=True, faults={"headers": str(error)})
    trying = "try" in view.form
    answer = await view.ask("quarantine.requeue", id=view.id, body={**changes, "dry_run": trying})
    if answer.status in _REFUSED:
        told = answer.document.get("invalid-params", [])
        faults = {each["name"].partition(".")[0]: each["reason"] for each in told}
        detail = answer.document.get("detail", "")
        return await _shown(view, message, given, fixing=True, faults=faults, detail=detail)
    if not answer.ok:
        raise Refused(answer)
    if trying:
        tried = await _shown(view, message, given, fixing=True, tried=answer.document)
        return {**tried, "http_status": 200}
    view.notice = "1 message was requeued; if it cannot be handled, it comes back"
    return "quarantine"


def _changes(message: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """Returns what differs from the message; raises ValueError if the headers are no object of JSON."""
    was = _fields(message)
    made: dict[str, Any] = {
        name: given[name] for name in ("type", "content_type") if given[name] != was[name] and given[name]
    }
    body = given["body"].replace("\r\n", "\n")
    if _is_editable(message["body_text"]) and body != was["body"].replace("\r\n", "\n"):
        made["body"] = body.replace("\n", "\r\n") if "\r\n" in was["body"] else body
    if headers := _header_changes(message["headers"], given["headers"]):
        made["headers"] = headers
    return made


def _header_changes(was: Mapping[str, Any], text: str) -> dict[str, Any]:
    try:
        told = json.loads(text or "{}")
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise ValueError("must be an object of JSON: names with values")  # noqa: TRY004 -- the text is the fault
    changed = {name: value for name, value in told.items() if name not in was or was[name] != value}
    return {**changed, **dict.fromkeys(was.keys() - told.keys())}


async def _requeue(view: View) -> str:
    await view.call("quarantine.requeue", id=view.id)
    view.notice = "1 message was requeued; if it cannot be handled, it comes back"
    return "quarantine"


async def _drop(view: View) -> str:
    await view.call("quarantine.drop", id=view.id)
    view.notice = "1 message was dropped"
    return "quarantine"


_ONE = Page(
    path="quarantine/{id}",
    section="quarantine",
    template="quarantine/show.html",
    show=_show,
    operations=("quarantine.show", "quarantine.requeue"),
    topics=("quarantine",),
    command="quarantine show {id}",
)
PAGES = (
    Page(
        path="quarantine",
        section="quarantine",
        template="quarantine/list.html",
        show=_list,
        operations=("quarantine.list", "overview.show"),
        topics=("quarantine",),
        command="quarantine list",
        options=_OPTIONS,
        export="quarantine.list",
    ),
    _ONE,
)
ACTIONS = (
    Action(path="quarantine/{id}/fix", run=_fix, operations=("quarantine.requeue",), form=_ONE),
    Action(path="quarantine/{id}/requeue", run=_requeue, operations=("quarantine.requeue",)),
    Action(path="quarantine/{id}/drop", run=_drop, operations=("quarantine.drop",)),
)
