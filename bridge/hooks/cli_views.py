"""Hooks as people see them."""

from collections.abc import Iterator
from typing import Any

from bridge.bodies.exact import json_text
from bridge.core.target import ScriptLimits, Signature, Tls
from bridge.terminal.paper import Column, TablePrinter, count, member, moment, text, value_at

_USUAL = {"signature": Signature(), "tls": Tls(), "limits": ScriptLimits()}


def destination(hook: Any) -> str:
    """Where it delivers, in a few words."""
    target = hook.get("target", {})
    match target.get("type"):
        case "webhook":
            return text(target.get("url"))
        case "script":
            return text(" ".join(target.get("command", [])))
        case "queue":
            return text(
                target.get("queue") or f"{target.get('exchange')} {target.get('routing_key') or ''}".strip()
            )
    return text(target.get("title") or target.get("body"))


def condition(hook: Any) -> str:
    """How it is doing, in a few words."""
    state = hook.get("state", {})
    if state.get("deleting"):
        return f"deleting ({state['deleting']})"
    if not hook.get("enabled", True):
        return "disabled"
    signing = hook.get("signing") or {}
    # A warning may be of blanks in a secret, too; a hook that signs, or is not meant to, is not unsigned.
    meant = hook["target"].get("profile") != "none" and not signing.get("signs", True)
    unsigned = ", unsigned" if meant and signing.get("warning") else ""
    return _trouble(state) or (f"active{unsigned}" if state.get("served", True) else "not served here")


def _trouble(state: Any) -> str:
    """What keeps an enabled hook from being served as it should be; empty: nothing."""
    if state.get("broken"):
        return f"broken ({text(state['broken'])})"
    if state.get("paused"):
        return f"paused ({state['reason']})" if state.get("reason") else "paused"
    if failing := state.get("failing"):
        return f"failing since {moment(failing['since'])}"
    if state.get("breaker", "closed") != "closed":
        return f"breaker {state['breaker']}"
    return "held back" if state.get("held_until") else ""


def _colour(words: str) -> str:
    return {"active": "green", "disabled": "dim", "failing": "red", "broken": "red"}.get(
        words if "," in words else words.partition(" ")[0], "yellow"
    )


COLUMNS = (
    Column("hook", lambda hook: text(hook["name"]), least=12),
    Column("id", lambda hook: "" if hook["id"] == hook["name"] else text(hook["id"]), drop=4),
    Column("state", condition, least=16, style=_colour),
    member("state.lane_depth", "waiting", right=True, drop=1),
    Column("last success", lambda hook: moment(value_at(hook, "state.last_success_at")), drop=3),
    member("target.type", "target", drop=2),
    Column("to", destination, least=16, drop=2),
    member("events", least=10, drop=3),
    member("managed_by", "by", drop=5),
)


def show_hooks(paper: TablePrinter, answer: Any) -> None:
    """A list of hooks."""
    paper.table(COLUMNS, answer["items"], "no hooks")


def show_hook(paper: TablePrinter, hook: Any) -> None:
    """One hook, whole."""
    state = hook.get("state", {})
    paper.line(f"{hook['name']}: {condition(hook)}", "bold")
    paper.facts(
        [
            ("id", text(hook["id"])),
            ("description", text(hook.get("description"))),
            ("managed by", "the file" if hook.get("managed_by") == "file" else text(hook.get("managed_by"))),
            ("sources", text(hook.get("sources")) or "every source"),
            ("events", text(hook.get("events"))),
            ("filter", text(hook.get("filter"))),
            ("takes", "what no other hook asks for" if hook.get("unmatched") else ""),
            ("concurrency", text(hook.get("concurrency"))),
            ("rate", f"{hook['rate']:.6g}/s" if hook.get("rate") else ""),
            *_members("retry", hook.get("retry")),
            *_members("target", hook.get("target")),
            ("signing", _signing(hook.get("signing"))),
            ("warning", text((hook.get("signing") or {}).get("warning"))),
            ("last success", moment(state.get("last_success_at"))),
            ("failing", _failing(state.get("failing"))),
            ("created", moment(hook.get("created_at"))),
            ("updated", moment(hook.get("updated_at"))),
            ("waiting", text(state.get("lane_depth"))),
            ("in flight", text(state.get("in_flight"))),
            ("breaker", text(state.get("breaker"))),
            ("held until", moment(state.get("held_until"))),
            ("overlay", _overlay(state.get("overlay"))),
            ("served here", text(state.get("served"))),
        ]
    )


def _signing(signing: Any) -> str:
    """With how many secrets, and until when each."""
    if not signing:
        return ""
    if not signing["signs"]:
        return "no"
    ends = [f"one until {moment(each['until'])}" for each in signing["secrets"] if each["until"]]
    whole = count(len(signing["secrets"]), "secret")
    return f"with {whole}{' (' + ', '.join(ends) + ')' if ends else ''}"


def _failing(failing: Any) -> str:
    return (
        f"since {moment(failing['since'])}, {count(failing['failed_attempts'], 'attempt')}" if failing else ""
    )


def _overlay(overlay: Any) -> str:
    if not overlay:
        return ""
    words = [
        word
        for word, said in (("enabled", overlay.get("enabled")), ("paused", overlay.get("paused")))
        if said
    ]
    words += ["disabled"] if overlay.get("enabled") is False else []
    words += ["not paused"] if overlay.get("paused") is False else []
    since = f" since {moment(overlay['at'])}" if overlay.get("at") else ""
    reason = f" ({text(overlay['reason'])})" if overlay.get("reason") else ""
    return f"{', '.join(words)}{since}{reason}, beside the configuration"


def _members(title: str, value: Any) -> Iterator[tuple[str, str]]:
    """What is set there otherwise than usual, each member on a line of its own."""
    for name, each in value.items() if isinstance(value, dict) else ():
        if isinstance(each, dict) and name in _USUAL:
            usual = _USUAL[name].model_dump()
            each = {key: said for key, said in each.items() if said != usual.get(key)}  # noqa: PLW2901 - the rest of it
        if each not in (None, "", [], {}, False):
            yield f"{title} {text(name)}", text(json_text(each)) if isinstance(each, dict) else text(each)


def reloaded(paper: TablePrinter, answer: Any) -> None:
    """What came of reading the file anew."""
    told = [
        f"{count(len(answer[kind]), 'hook')} {kind}: {text(answer[kind])}"
        for kind in ("added", "removed", "changed")
        if answer.get(kind)
    ]
    for line in told or ["no hook changed"]:
        paper.line(line)
    for hook, why in answer.get("broken", {}).items():
        paper.line(f"broken: {text(hook)}: {text(why)}", "bold red")
    if answer.get("needs_restart"):
        paper.line(f"in force after a restart only: {text(answer['needs_restart'])}", "yellow")


def removal(paper: TablePrinter, answer: Any) -> None:
    """What was done with a deleted hook's lane."""
    hook, lane = text(answer.get("id")), answer.get("lane")
    deliveries = answer.get("deliveries")
    match lane:
        case "draining":
            waiting = count(answer.get("waiting") or 0, "delivery")
            paper.line(f"{hook}: matches nothing more; {waiting} that waited will still be delivered")
        case "dropping":
            paper.line(f"{hook}: deleted; what waits is becoming FAILED hook_deleted")
        case "drained":
            paper.line(f"{hook}: deleted; nothing waited")
        case _:
            paper.line(f"{hook}: deleted; {count(deliveries or 0, 'delivery')} became FAILED hook_deleted")


def tested(paper: TablePrinter, answer: Any) -> None:
    """What came of a test event."""
    if answer.get("delivered"):
        paper.line("delivered", "bold green")
    else:
        paper.line(f"not delivered: {text(answer.get('outcome'))}", "bold red")
    paper.facts(
        [
            ("status code", text(answer.get("status_code"))),
            (
                "duration",
                f"{text(answer['duration_ms'])} ms" if answer.get("duration_ms") is not None else "",
            ),
            ("error", text(answer.get("error"))),
            ("response", text(answer.get("response"))),
            ("event", f"{text(answer.get('event_type'))} {text(answer.get('event_id'))}".strip()),
        ]
    )


def rotated(paper: TablePrinter, answer: Any) -> None:
    """The new secret, this once."""
    paper.facts(
        [
            ("hook", text(answer.get("id"))),
            ("secret", text(answer.get("secret"))),
            ("it signs from", moment(answer.get("starts_at"))),
            ("old ones end", moment(answer.get("expires_at")) or "at once"),
        ]
    )
    if told := text(answer.get("explanation")):
        paper.line(f"{told[:1].upper()}{told[1:]}.")
    paper.line("The secret is not shown again.")
