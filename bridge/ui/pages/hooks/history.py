"""The versions of a hook: who changed what, and back to one of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from bridge.ui.page import Action, Page, View
from bridge.ui.pages.hooks.diff import Line, changed
from bridge.ui.pages.hooks.state import seen

_SECRETS = "target.secrets"


async def _show(view: View) -> Mapping[str, Any]:
    shown = await seen(view, "history")
    versions = await view.call("hooks.history", id=view.id)
    items = [{**each, "changes": _by_path(each["changes"])} for each in versions["items"]]
    return {**shown, "versions": items}


def _by_path(changes: Sequence[Mapping[str, Any]]) -> Mapping[str, Sequence[Line]]:
    """Returns the lines that differ by the path of the change; none of secrets, of which only the change is told."""
    return {
        each["path"]: [] if each["path"] == _SECRETS else changed(each["before"], each["after"])
        for each in changes
    }


async def _restore(view: View) -> str:
    version = str(view.form.get("version", ""))
    headers = {"If-Match": str(view.form.get("etag", "*"))}
    body = {"version": int(version) if version.isdecimal() and len(version) < 10 else 0}
    hook = await view.call("hooks.restore", id=view.id, body=body, headers=headers)
    view.notice = f"The hook is as it was in version {version}; its secrets are the present ones."
    return f"hooks/{hook['id']}/history"


PAGES = (
    Page(
        path="hooks/{id}/history",
        section="hooks",
        template="hooks/history.html",
        show=_show,
        operations=("hooks.history", "hooks.show"),
        topics=("hooks",),
        command="hooks history {id}",
    ),
)
ACTIONS = (Action(path="hooks/{id}/restore", run=_restore, operations=("hooks.restore",)),)
