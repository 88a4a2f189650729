"""The editor of hooks: a form, or the same as YAML, and what the hook would do."""

from collections.abc import Mapping
from typing import Any

from bridge.http.handling import Answer
from bridge.ui.page import Action, Page, Refused, View
from bridge.ui.pages.hooks.diff import compared
from bridge.ui.pages.hooks.draft import Draft, draft_of, posted
from bridge.ui.pages.hooks.fields import HOW, TYPE, WHAT, WHERE
from bridge.ui.pages.hooks.state import seen

_MOST_TYPES = 50
_MOST_ROWS = 20
_ORDER = ("match", "filter_error", "filter_missing_key", "filtered", "taken", "no_pattern", "other_source")
_AT_FIELDS = {400, 409, 413, 422}


async def _new(view: View) -> Mapping[str, Any]:
    draft = Draft({"target": {"type": "webhook"}})
    event = view.query.get("event", "")
    if event:
        sample = await view.call("events.show", id=event)
        draft.tree = {"events": [sample["type"]], "sources": [sample["source"]], **draft.tree}
    return await _shown(view, draft, event, await _would(view, draft, event) if event else None)


async def _edit(view: View) -> Mapping[str, Any]:
    about = await seen(view, "edit")
    return await _shown(view, draft_of(about["hook"]), "", None, about)


async def _shown(
    view: View,
    draft: Draft,
    event: str,
    would: Mapping[str, Any] | None,
    about: Mapping[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Returns what the template needs; `about` is the hook that is edited, `would` the preview."""
    types = await view.ask("events.types")
    return {
        "hook": None,
        "etag": "",
        "editable": True,
        **(about or {}),
        "draft": draft,
        "groups": (WHAT, WHERE, HOW),
        "type_field": TYPE,
        "event": event,
        "would": would,
        "types": types.document["items"][:_MOST_TYPES] if types.ok else [],
        "detail": "",
        "theirs": [],
        "result": None,
        **more,
    }


async def _would(view: View, draft: Draft, event: str) -> Mapping[str, Any]:
    """Returns what the draft would do, or why that cannot be told."""
    body = {
        "hook": draft.tree,
        **({"like": view.id} if view.id else {}),
        **({"event_id": event} if event else {}),
    }
    answer = await view.ask("hooks.preview", body=body)
    if not answer.ok:
        told = answer.document.get("invalid-params", [])
        return {"refused": told[0]["reason"] if told else answer.document["detail"]}
    would = answer.document
    rows = sorted(would["rows"], key=_rank)
    return {**would, "rows": rows[:_MOST_ROWS], "refused": ""}


def _rank(row: Mapping[str, Any]) -> tuple[bool, int]:
    """Returns the place of a row: those first that the hook in force decides otherwise, then by decision."""
    decision, before = row["decision"], row["matched_before"]
    known = _ORDER.index(decision) if decision in _ORDER else len(_ORDER)
    return before is None or before == (decision == "match"), known


async def _posted(view: View) -> str | Mapping[str, Any]:
    """Does what the pressed button says; without one it previews."""
    draft = posted(view.form)
    event = str(view.form.get("chosen") or view.form.get("event") or "")
    do = str(view.form.get("do", "preview"))
    about = await seen(view, "edit") if view.id else None
    if draft.faults and do != "form":
        return await _shown(view, draft, event, None, about, **_etag(view))
    if do in {"save", "off", "live"}:
        return await _save(view, draft, event, about, do)
    if do == "test":
        return await _test(view, draft, event, about)
    if do in {"yaml", "form"}:
        turned = draft if draft.faults else Draft(draft.tree, draft.yaml if do == "yaml" else None)
        return {"http_status": 200, **await _shown(view, turned, event, None, about, **_etag(view))}
    would = await _would(view, draft, event)
    draft.refuse(would.get("problems", []))
    shown = await _shown(view, draft, event, would, about, **_etag(view))
    return {**shown, "http_status": 200, **({"template": "hooks/would.html"} if view.partial else {})}


def _etag(view: View) -> dict[str, str]:
    """Returns the version that the form was made of."""
    return {"etag": str(view.form.get("etag", ""))}


async def _save(
    view: View, draft: Draft, event: str, about: Mapping[str, Any] | None, do: str
) -> str | Mapping[str, Any]:
    tree = draft.tree if do == "save" else {**draft.tree, "enabled": do == "live"}
    if about is None:
        answer = await view.ask("hooks.create", body=tree)
    else:
        match = str(view.form.get("etag", ""))
        answer = await view.ask("hooks.replace", id=view.id, body=tree, headers={"If-Match": match})
    if answer.ok:
        return f"hooks/{answer.document['id']}" + (f"?event={event}" if event and about is None else "")
    if answer.status == 412 and about is not None:
        return await _overtaken(view, draft, event, about)
    return await _refused(view, draft, event, about, answer)


async def _overtaken(view: View, draft: Draft, event: str, about: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the form with the difference between the hook as others have changed it and this draft."""
    theirs = compared(draft_of(about["hook"]).yaml, Draft(draft.tree).yaml)
    return {**await _shown(view, draft, event, None, about, theirs=theirs), "http_status": 412}


async def _test(view: View, draft: Draft, event: str, about: Mapping[str, Any] | None) -> Mapping[str, Any]:
    body = {
        "hook": draft.tree,
        **({"like": view.id} if view.id else {}),
        **({"event_id": event} if event else {}),
    }
    answer = await view.ask("hooks.test_draft", body=body)
    if not answer.ok:
        return await _refused(view, draft, event, about, answer)
    shown = await _shown(view, draft, event, None, about, result=answer.document, **_etag(view))
    return {**shown, "http_status": 200}


async def _refused(
    view: View, draft: Draft, event: str, about: Mapping[str, Any] | None, answer: Answer
) -> Mapping[str, Any]:
    if answer.status not in _AT_FIELDS:
        raise Refused(answer)
    told = answer.document.get("invalid-params", [])
    draft.refuse([{**each, "name": each["name"].removeprefix("hook.")} for each in told])
    detail = "" if told else answer.document["detail"]
    shown = await _shown(view, draft, event, None, about, detail=detail, **_etag(view))
    return {**shown, "http_status": answer.status}


_NEW = Page(
    path="hooks/new",
    section="hooks",
    template="hooks/editor.html",
    show=_new,
    operations=("hooks.create", "hooks.preview", "hooks.test_draft", "events.types", "events.show"),
    command="hooks create -f hook.yaml",
)
_EDIT = Page(
    path="hooks/{id}/edit",
    section="hooks",
    template="hooks/editor.html",
    show=_edit,
    operations=("hooks.show", "hooks.replace", "hooks.preview", "hooks.test_draft", "events.types"),
    command="hooks update {id} -f hook.yaml",
)
PAGES = (_NEW, _EDIT)
ACTIONS = (
    Action(path="hooks/new", run=_posted, operations=("hooks.create", "hooks.preview"), form=_NEW),
    Action(path="hooks/{id}/edit", run=_posted, operations=("hooks.replace", "hooks.preview"), form=_EDIT),
)
