"""What a hook is doing, in one word, and the hook as its pages show it."""

from collections.abc import Mapping
from typing import Any

from bridge.ui.page import Refused, View

Hook = Mapping[str, Any]
"""A hook of the API."""


def word_of(hook: Hook) -> str:
    """Returns the most urgent of its states."""
    state = hook["state"]
    found = (
        ("deleting", state["deleting"]),
        ("broken", state["broken"]),
        ("disabled", not hook["enabled"]),
        ("paused", state["paused"]),
        ("failing", state["failing"]),
        ("breaker_open", state["breaker"] != "closed"),
    )
    return next((word for word, there in found if there), "active")


def target_of(hook: Hook) -> str:
    """Returns where a hook delivers, in one line; empty if that is secret or unreadable."""
    target = hook["target"]
    if target.get("exchange") is not None:
        return f"{target['exchange'] or '(default)'} {target.get('routing_key') or ''}".strip()
    command = target.get("command")
    return target.get("url") or target.get("queue") or (" ".join(command) if command else "")


async def seen(view: View, tab: str) -> dict[str, Any]:
    """Returns the hook of the path with its entity tag, for the tab with this name."""
    answer = await view.ask("hooks.show", id=view.id)
    if not answer.ok:
        raise Refused(answer)
    hook = answer.document
    editable = hook["managed_by"] == "api" and hook["state"]["deleting"] is None
    return {
        "hook": hook,
        "etag": answer.headers.get("ETag", ""),
        "state": word_of(hook),
        "to": target_of(hook),
        "tab": tab,
        "editable": editable,
    }
