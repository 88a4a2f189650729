"""System: the replicas, what this process says of itself, and the tokens."""

from collections.abc import Mapping
from typing import Any

from bridge.ui.page import Action, Page, Refused, View

LIVES = ("90d", "30d", "7d", "24h", "365d", "")
"""The lifetimes of tokens that the form offers; empty: until it is revoked."""


async def _show(view: View) -> Mapping[str, Any]:
    return await _shown(view)


async def _shown(view: View, **more: Any) -> Mapping[str, Any]:
    replicas = await view.call("replicas.list", query={"limit": "200"})
    overview = await view.ask("overview.show")
    tokens = None
    if view.may("tokens.list"):
        tokens = (await view.call("tokens.list", query={"limit": "200"}))["items"]
    down = [each for each in overview.document["alarms"] if each["kind"] in _PARTS] if overview.ok else None
    return {
        "replicas": replicas["items"],
        "down": down,
        "about": await _if_any(view, "about.show"),
        "settings": await _if_any(view, "settings.show"),
        "doctor": await _if_any(view, "doctor.show"),
        "tokens": tokens,
        "made": None,
        "given": {"role": "viewer", "expires_in": LIVES[0]},
        "lives": LIVES,
        "faults": {},
        "detail": "",
        **more,
    }


_PARTS = {"database_down", "broker_down", "source_down", "problem"}


async def _if_any(view: View, name: str) -> Any:
    """Returns the document of an operation; None if it does not exist, the role does not grant it, or it fails."""
    if not view.may(name):
        return None
    answer = await view.ask(name)
    return answer.document if answer.ok else None


async def _make(view: View) -> Mapping[str, Any]:
    given = {name: str(view.form.get(name, "")).strip() for name in ("name", "role", "expires_in")}
    answer = await view.ask("tokens.create", body={**given, "expires_in": given["expires_in"] or None})
    if answer.status in {400, 409, 422}:
        told = answer.document.get("invalid-params", [])
        faults = {each["name"]: each["reason"] for each in told}
        if answer.status == 409:
            faults = {"name": answer.document["detail"]}
        return await _shown(view, given=given, faults=faults, detail=answer.document.get("detail", ""))
    if not answer.ok:
        raise Refused(answer)
    return {**await _shown(view, made=answer.document), "http_status": 200}


async def _revoke(view: View) -> str:
    await view.call("tokens.revoke", id=view.id)
    view.notice = "The token was revoked; within a second no replica accepts it"
    return "system"


_SYSTEM = Page(
    path="system",
    section="system",
    template="system/system.html",
    show=_show,
    operations=("replicas.list", "overview.show", "tokens.list"),
    topics=("replicas",),
    command="replicas",
)
PAGES = (_SYSTEM,)
ACTIONS = (
    Action(path="system/tokens", run=_make, operations=("tokens.create",), form=_SYSTEM),
    Action(path="system/tokens/{id}/revoke", run=_revoke, operations=("tokens.revoke",)),
)
