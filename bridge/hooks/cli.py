"""`amqp-bridge hooks`: look at hooks, and switch them."""

from typing import Annotated, Literal

from typer import Option

from bridge.core.target import TargetType
from bridge.hooks import cli_changes
from bridge.terminal.options import (
    WHERE,
    Commands,
    HookName,
    HookNames,
    Since,
    Until,
    Watching,
    examples,
    listed,
    remote,
    watched,
)
from bridge.terminal.remote import Remote, needs_one

app = Commands(
    name="hooks",
    help="Hooks of a running bridge: look, make, change, switch, test.",
    no_args_is_help=True,
    epilog=WHERE,
)

LIST = f"""\b
Examples:
  amqp-bridge hooks list
  amqp-bridge hooks list --state failing
  amqp-bridge hooks list --state paused --json | jq -r .items[].name
  amqp-bridge hooks list --watch 5

{WHERE}"""
RELOAD = f"""\b
Examples:
  amqp-bridge hooks reload
  amqp-bridge hooks reload --json | jq .broken

{WHERE}"""
SWITCH = f"""\b
Examples:
  amqp-bridge hooks pause crm --reason "the CRM is moved tonight"
  amqp-bridge hooks resume crm
  amqp-bridge hooks disable crm billing
  amqp-bridge hooks enable crm billing

{WHERE}"""


@app.command("list", cls=Watching, epilog=LIST)
@listed
def list_(
    to: Remote,
    *,
    target: Annotated[TargetType | None, Option("--target", help="With such a target.")] = None,
    managed_by: Annotated[Literal["api", "file"] | None, Option("--managed-by", help="Made there.")] = None,
    state: Annotated[
        Literal["active", "paused", "disabled", "broken", "failing"] | None,
        Option("--state", help="In this state."),
    ] = None,
    search: Annotated[
        str | None, Option("--search", "-q", metavar="TEXT", help="With this text in name or description.")
    ] = None,
) -> None:
    """List hooks, and how they are doing."""
    from bridge.hooks.cli_views import show_hooks

    to.pages("/hooks", show_hooks, {"target": target, "managed_by": managed_by, "state": state, "q": search})


@app.command(cls=Watching, epilog=examples("amqp-bridge hooks show crm"))
@watched
def show(to: Remote, hook: HookName) -> None:
    """Show a hook, without its secrets."""
    from bridge.hooks.cli_views import show_hook
    from bridge.terminal.client import segment

    to.show(f"/hooks/{segment(hook)}", show_hook)


@app.command(cls=Watching, epilog=examples("amqp-bridge hooks stats crm --since 7d"))
@watched
def stats(to: Remote, hook: HookName, *, since: Since = None, until: Until = None) -> None:
    """Show totals of a hook: deliveries, success rate, response times."""
    from bridge.stats.cli import show_totals
    from bridge.terminal.client import segment
    from bridge.terminal.options import moment

    span = {"from": moment(since, "--since"), "to": moment(until, "--until")}
    to.show(f"/hooks/{segment(hook)}/stats", show_totals, span)


@app.command(epilog=SWITCH)
@remote
def enable(to: Remote, hooks: HookNames = None) -> None:
    """Have matching events delivered again."""
    _switch(to, hooks, "enable")


@app.command(epilog=SWITCH)
@remote
def disable(to: Remote, hooks: HookNames = None) -> None:
    """Have matching events recorded SKIPPED from now on; what waits goes on waiting."""
    _switch(to, hooks, "disable")


@app.command(epilog=SWITCH)
@remote
def pause(
    to: Remote,
    hooks: HookNames = None,
    *,
    reason: Annotated[str | None, Option("--reason", metavar="TEXT", help="Shown to who looks.")] = None,
) -> None:
    """Let matching events wait in the hook's lane."""
    _switch(to, hooks, "pause", {"reason": reason} if reason else None)


@app.command(epilog=SWITCH)
@remote
def resume(to: Remote, hooks: HookNames = None) -> None:
    """Deliver what waits, and what comes; lifts the bridge's own pause too."""
    _switch(to, hooks, "resume")


@app.command(epilog=RELOAD)
@remote
def reload(to: Remote) -> None:
    """Have the hooks of the file read anew, on every replica; as SIGHUP does."""
    from bridge.hooks.cli_views import reloaded

    to.say(to.change("POST", "/reload"), reloaded)


def _switch(to: Remote, hooks: list[str] | None, verb: str, body: object = None) -> None:
    from bridge.hooks.cli_views import condition
    from bridge.terminal.client import segment

    to.each(
        needs_one(hooks, "a hook"),
        lambda hook: to.change("POST", f"/hooks/{segment(hook)}/{verb}", body),
        lambda paper, hook: paper.line(f"{hook['name']}: {condition(hook)}"),
    )


cli_changes.add_to(app)
