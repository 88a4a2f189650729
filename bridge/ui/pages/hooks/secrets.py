"""The secrets of a hook: those that are live, and a new one, which is shown once."""

from collections.abc import Mapping
from typing import Any

from bridge.ui.page import Action, Page, Refused, View
from bridge.ui.pages.hooks.state import seen

_AT_FIELDS = {400, 422}


async def _show(view: View) -> Mapping[str, Any]:
    return await _shown(view)


async def _shown(view: View, **more: Any) -> dict[str, Any]:
    shown = await seen(view, "secrets")
    live = await view.call("hooks.secrets", id=view.id) if shown["hook"]["signing"] else {"items": []}
    made = max((each["made_at"] for each in live["items"] if each["made_at"]), default=None)
    former = [each for each in live["items"] if each["until"]]
    return {
        **shown,
        "live": live["items"],
        "former": former,
        "since": made,
        "succeeded": await _succeeded(view, shown["hook"]["id"], made) if made and former else None,
        "faults": {},
        **more,
    }


async def _succeeded(view: View, hook: str, since: str) -> Mapping[str, Any] | None:
    """Returns how many deliveries succeeded since then, as the API counts them; None if it cannot be told now."""
    query = {"hook": hook, "status": "SUCCESS", "updated_from": since, "limit": "1", "count": "true"}
    answer = await view.ask("deliveries.list", query=query)
    if not answer.ok:
        return None
    more = answer.document["more"]
    return {"count": len(answer.document["items"]) + more["count"], "exact": more["exact"]}


async def _rotate(view: View) -> Mapping[str, Any]:
    """Makes a new secret; the answer is the only page that ever shows it."""
    given = str(view.form.get("secret", ""))
    body = {"keep": str(view.form.get("keep", "24h")), **({"secret": given} if given else {})}
    headers = {"If-Match": str(view.form.get("etag", "*"))}
    answer = await view.ask("hooks.rotate_secret", id=view.id, body=body, headers=headers)
    if answer.status in _AT_FIELDS:
        told = answer.document.get("invalid-params", [])
        faults = {each["name"] if each["name"] == "keep" else "secret": each["reason"] for each in told}
        return await _shown(view, faults=faults or {"secret": answer.document["detail"]})
    if not answer.ok:
        raise Refused(answer)
    shown = await seen(view, "secrets")
    return {**shown, "made": answer.document, "template": "hooks/new_secret.html", "http_status": 200}


async def _end(view: View) -> str:
    headers = {"If-Match": str(view.form.get("etag", "*"))}
    await view.call("hooks.end_secrets", id=view.id, headers=headers)
    view.notice = "The former secrets do not sign any more."
    return f"hooks/{view.id}/secrets"


_PAGE = Page(
    path="hooks/{id}/secrets",
    section="hooks",
    template="hooks/secrets.html",
    show=_show,
    operations=("hooks.secrets", "hooks.show", "deliveries.list"),
    topics=("hooks",),
    command="hooks show {id}",
)
PAGES = (_PAGE,)
ACTIONS = (
    Action(path="hooks/{id}/secrets", run=_rotate, operations=("hooks.rotate_secret",), form=_PAGE),
    Action(path="hooks/{id}/secrets/end", run=_end, operations=("hooks.end_secrets",)),
)
