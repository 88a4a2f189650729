"""`amqp-bridge hooks`: look at hooks, and switch them."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from typer import Option

from bridge.bodies.exact import json_text
from bridge.core.target import ScriptLimits, Signature, TargetType, Tls
from bridge.stats.cli import show_totals
from bridge.terminal.client import segment
from bridge.terminal.groups import Later, LazyGroup, option
from bridge.terminal.options import SPAN, WATCHED, HookName, HookNames, RemoteCommands, examples, queried
from bridge.terminal.paper import (
    Column,
    ListView,
    TablePrinter,
    column,
    columns,
    count,
    described,
    moment,
    text,
)
from bridge.terminal.remote import Remote, needs_one

_USUAL = {"signature": Signature(), "tls": Tls(), "limits": ScriptLimits()}
_CHANGES = "bridge.hooks.cli_changes:app"
SWITCH = examples("""
amqp-bridge hooks pause crm --reason "the CRM is moved tonight"
amqp-bridge hooks resume crm
amqp-bridge hooks disable crm billing
amqp-bridge hooks enable crm billing
""")


class _Hooks(LazyGroup):
    later = {  # noqa: RUF012 - of the base class
        "create": Later(_CHANGES, "Create a hook from a file or from options; it is active at once."),
        "update": Later(
            _CHANGES, "Update the given fields of a hook, or replace the hook with the one in a file."
        ),
        "delete": Later(_CHANGES, "Delete a hook, and deliver or drop the deliveries in its lane."),
        "test": Later(_CHANGES, "Send a test event to a hook's target and show the result."),
        "rotate-secret": Later(
            _CHANGES,
            "Give a hook a new secret; the old ones go on signing for a while, and the answer says which signs when.",
        ),
    }


def _destination(hook: Any) -> str:
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


def _condition(hook: Any) -> str:
    state = hook.get("state", {})
    if state.get("deleting"):
        return f"deleting ({state['deleting']})"
    if not hook.get("enabled", True):
        return "disabled"
    signing = hook.get("signing") or {}
    # The warning may also be about blanks in a secret; a hook that signs, or is not meant to, does not count as unsigned.
    meant = hook["target"].get("profile") != "none" and not signing.get("signs", True)
    unsigned = ", unsigned" if meant and signing.get("warning") else ""
    return _trouble(state) or (f"active{unsigned}" if state.get("served", True) else "not served here")


def _trouble(state: Any) -> str:
    """Returns the problem of an enabled hook that is not served properly; empty if there is none."""
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


def _signing(signing: Any) -> str:
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
    enabled, paused = overlay.get("enabled"), overlay.get("paused")
    said = {"enabled": enabled, "paused": paused, "disabled": enabled is False, "not paused": paused is False}
    since = f" since {moment(overlay['at'])}" if overlay.get("at") else ""
    reason = f" ({text(overlay['reason'])})" if overlay.get("reason") else ""
    words = ", ".join(word for word, so in said.items() if so)
    return f"{words}{since}{reason}, beside the configuration"


HOOKS = ListView(
    "no hooks",
    column("name", "hook", least=12),
    Column("id", lambda hook: "" if hook["id"] == hook["name"] else text(hook["id"]), drop=4),
    Column("state", _condition, least=16, style=_colour),
    column("state.lane_depth", "waiting", right=True, drop=1),
    column("state.last_success_at", "last success", moment, drop=3),
    column("target.type", "target", drop=2),
    Column("to", _destination, least=16, drop=2),
    column("events", least=10, drop=3),
    column("managed_by", "by", drop=5),
)
HOOK = (
    *columns("id description"),
    column("managed_by", show=lambda by: "the file" if by == "file" else text(by)),
    column("sources", show=lambda names: text(names) or "every source"),
    *columns("events filter"),
    column("unmatched", "takes", lambda alone: "what no other hook asks for" if alone else ""),
    column("concurrency"),
    column("rate", show=lambda rate: f"{rate:.6g}/s" if rate else ""),
)
STATE = (
    column("signing", show=_signing),
    column("signing.warning", "warning"),
    column("state.last_success_at", "last success", moment),
    column("state.failing", "failing", _failing),
    column("created_at", "created", moment),
    column("updated_at", "updated", moment),
    column("state.lane_depth", "waiting"),
    column("state.in_flight", "in flight"),
    column("state.breaker", "breaker"),
    column("state.held_until", "held until", moment),
    column("state.overlay", "overlay", _overlay),
    column("state.served", "served here"),
)


def _changes(changes: Any) -> str:
    return "; ".join(
        f"{text(each['path'])}: {text(each['before'])} -> {text(each['after'])}" for each in changes
    )


VERSIONS = ListView(
    "no versions are kept",
    column("version", right=True),
    column("at", show=moment),
    column("by", least=6),
    column("changes", show=_changes, least=24, drop=1),
)

app = RemoteCommands("hooks", cls=_Hooks, no_args_is_help=True)
app.listing(
    "list",
    "/hooks",
    "List hooks and their health.",
    HOOKS,
    option("--target", None, "Only hooks with a target of this type.", TargetType),
    option("--managed-by", None, "Only hooks managed by the API, or by the file.", Literal["api", "file"]),
    option(
        "--state", None, "Only in this state.", Literal["active", "paused", "disabled", "broken", "failing"]
    ),
    option("--sort", None, "Order of the list.", Literal["name", "trouble", "waiting", "failures"]),
    option("--search -q", "TEXT", "Only hooks whose name or description contains this text.", name="q"),
    epilog=examples("""
amqp-bridge hooks list
amqp-bridge hooks list --state failing
amqp-bridge hooks list --sort trouble
amqp-bridge hooks list --state paused --json | jq -r .items[].name
amqp-bridge hooks list --watch 5
"""),
)


@app.remote(epilog=examples("amqp-bridge hooks show crm"), common=WATCHED)
def show(to: Remote, hook: HookName) -> None:
    """Show a hook, without its secrets."""
    to.show(f"/hooks/{segment(hook)}", show_hook)


def show_hook(paper: TablePrinter, hook: Any) -> None:
    """Prints one hook with all its members."""
    paper.line(f"{hook['name']}: {_condition(hook)}", "bold")
    members = (*_members("retry", hook.get("retry")), *_members("target", hook.get("target")))
    paper.facts([*described(hook, HOOK), *members, *described(hook, STATE)])


def _members(title: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yields the members that differ from their defaults, each as one line."""
    for name, each in value.items() if isinstance(value, dict) else ():
        if isinstance(each, dict) and name in _USUAL:
            usual = _USUAL[name].model_dump()
            each = {key: said for key, said in each.items() if said != usual.get(key)}  # noqa: PLW2901 - the rest of it
        if each not in (None, "", [], {}, False):
            yield f"{title} {text(name)}", text(json_text(each)) if isinstance(each, dict) else text(each)


@app.remote(epilog=examples("amqp-bridge hooks history crm"))
def history(to: Remote, hook: HookName) -> None:
    """Show the versions of a hook: when, by whom, what changed."""
    to.show(f"/hooks/{segment(hook)}/history", VERSIONS)


@app.remote(epilog=examples("amqp-bridge hooks stats crm --since 7d"), own=SPAN, common=WATCHED)
def stats(to: Remote, hook: HookName, **span: Any) -> None:
    """Show totals of a hook: deliveries, success rate, response times."""
    to.show(f"/hooks/{segment(hook)}/stats", show_totals, queried(span))


@app.remote(epilog=SWITCH)
def enable(to: Remote, hooks: HookNames = None) -> None:
    """Enable hooks: matching events are delivered again."""
    _switch(to, hooks, "enable")


@app.remote(epilog=SWITCH)
def disable(to: Remote, hooks: HookNames = None) -> None:
    """Disable hooks: matching events are recorded SKIPPED from now on; waiting deliveries keep waiting."""
    _switch(to, hooks, "disable")


@app.remote(epilog=SWITCH)
def pause(
    to: Remote,
    hooks: HookNames = None,
    *,
    reason: Annotated[str | None, Option("--reason", metavar="TEXT", help="Reason of the pause.")] = None,
) -> None:
    """Pause hooks: deliveries of matching events wait in the hook's lane."""
    _switch(to, hooks, "pause", {"reason": reason} if reason else None)


@app.remote(epilog=SWITCH)
def resume(to: Remote, hooks: HookNames = None) -> None:
    """Resume hooks: waiting deliveries are made; also lifts a pause by the bridge."""
    _switch(to, hooks, "resume")


def _switch(to: Remote, hooks: list[str] | None, verb: str, body: object = None) -> None:
    to.each(
        needs_one(hooks, "a hook"),
        lambda hook: to.change("POST", f"/hooks/{segment(hook)}/{verb}", body),
        lambda paper, hook: paper.line(f"{hook['name']}: {_condition(hook)}"),
    )


@app.remote(
    epilog=examples("""
amqp-bridge hooks reload
amqp-bridge hooks reload --json | jq .broken
""")
)
def reload(to: Remote) -> None:
    """Reload the hooks of the file on every replica, as SIGHUP does on one."""
    to.say(to.change("POST", "/reload"), _reloaded)


def _reloaded(paper: TablePrinter, answer: Any) -> None:
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
