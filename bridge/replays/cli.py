"""`amqp-bridge replay`: many deliveries started anew, as a job of the bridge."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from typer import Argument, Option

from bridge.terminal.client import Answer, Unreachable, segment
from bridge.terminal.options import (
    WHERE,
    Commands,
    Hook,
    Since,
    Source,
    Statuses,
    Type,
    Until,
    Watching,
    alone,
    listed,
    remote,
    watched,
)
from bridge.terminal.output import FAILED, tell
from bridge.terminal.paper import Column, TablePrinter, count, identity, member, moment, text
from bridge.terminal.remote import Remote

EXAMPLES = f"""\b
Examples:
  amqp-bridge replay --hook crm --since 2h --dry-run
  amqp-bridge replay --hook crm --status FAILED --since 2025-05-05 --rate 50/s
  amqp-bridge replay --hook crm --missing --since 7d    events it matches today and has no delivery for
  amqp-bridge replay list
  amqp-bridge replay show ID
  amqp-bridge replay watch ID
  amqp-bridge replay cancel ID
Without --detach it is watched until it ends. Ctrl-C leaves it running; so does the end of this command.

{WHERE}"""

app = Commands(
    name="replay",
    help="Start many deliveries anew; also: list, show, watch, cancel such jobs.",
    epilog=EXAMPLES,
    invoke_without_command=True,
)

Missing = Annotated[
    bool, Option("--missing", help="Events that --hook matches today and has no delivery for.")
]
Rate = Annotated[
    str | None, Option("--rate", metavar="RATE", help="Such as 50/s. Default: as fast as it goes.")
]
DryRun = Annotated[bool, Option("--dry-run", help="Only tell how many it would take.")]
Detach = Annotated[bool, Option("--detach", help="Do not wait for the end.")]
Id = Annotated[str, Argument(metavar="ID", help="Of the replay.", show_default=False)]


@remote
def start(
    to: Remote,
    *,
    hook: Hook = None,
    status: Statuses = None,
    type_: Type = None,
    source: Source = None,
    since: Since = None,
    until: Until = None,
    missing: Missing = False,
    rate: Rate = None,
    dry_run: DryRun = False,
    detach: Detach = False,
) -> None:
    """Start deliveries anew that fit the filter: FAILED ones, unless --status says otherwise."""
    from bridge.terminal.options import moment

    chosen = {
        "hook": hook,
        "status": [each.upper() for each in status] if status else None,
        "type": type_,
        "source": source,
        "from": moment(since, "--since"),
        "to": moment(until, "--until"),
        "missing": missing or None,
    }
    told = {name: value for name, value in chosen.items() if value is not None}
    begin(to, told, rate, dry_run=dry_run, detach=detach)


app.callback()(alone(start))
app.command("start", epilog=EXAMPLES)(start)


@app.command("list", cls=Watching, epilog=WHERE)
@listed
def list_(to: Remote) -> None:
    """List replays, the newest first."""
    to.pages("/replays", show_replays)


@app.command(cls=Watching, epilog=WHERE)
@watched
def show(to: Remote, replay: Id) -> None:
    """Show a replay: how far it is."""
    from bridge.terminal.client import segment

    to.show(f"/replays/{segment(replay)}", show_replay)


@app.command(epilog=WHERE)
@remote
def watch(to: Remote, replay: Id) -> None:
    """Follow a replay until it ends; the exit code is 1 where it did not get to its end."""
    follow(to, replay)


@app.command(epilog=WHERE)
@remote
def cancel(to: Remote, replay: Id) -> None:
    """Stop a replay; what it has started anew already stays so."""
    from bridge.terminal.client import segment

    to.say(to.change("POST", f"/replays/{segment(replay)}/cancel"), show_replay)


# A replay from its start to its end, with a bar that moves.


_EVERY = 0.5
_ENDED = frozenset({"done", "cancelled", "failed"})

COLUMNS = (
    identity("id"),
    Column("status", lambda row: text(row["status"])),
    Column("done", lambda row: f"{row['done']}/{row['total']}", right=True),
    Column("filter", lambda row: _filter(row.get("filter")), least=16, drop=2),
    Column("rate", lambda row: _rate(row.get("rate")), drop=4),
    Column("created", lambda row: moment(row["created_at"]), drop=3),
    member("created_by", "by", least=6, drop=5),
)


def begin(to: Remote, which: Mapping[str, Any], rate: str | None, *, dry_run: bool, detach: bool) -> None:
    """Start a replay and follow it, unless it is to be counted only or left alone. Raises Exit as `follow` does."""
    answer = to.change("POST", "/replays", {"filter": which, "rate": rate, "dry_run": dry_run})
    if dry_run:
        to.say(answer, lambda paper, told: _show_counted(paper, told, which))
    elif detach:
        to.say(answer, show_replay)
    else:
        if not to.as_json:
            typer.echo(f"replay {answer.value['id']}: {_told(answer.value['total'], which)}", err=True)
        follow(to, str(answer.value["id"]))


def follow(to: Remote, replay: str) -> None:
    """Show how far it is until it ends, then what came of it; raises Exit where it was cancelled or failed."""
    try:
        with _bar() as move:
            answer = _until_ended(to, replay, move)
    except KeyboardInterrupt:
        typer.echo(
            f"\nThe replay goes on. `amqp-bridge replay watch {replay}` follows it, "
            f"`amqp-bridge replay cancel {replay}` stops it.",
            err=True,
        )
        raise
    to.say(answer, show_replay)
    if answer.value["status"] != "done":
        raise typer.Exit(FAILED)


def _until_ended(to: Remote, replay: str, move: Callable[[Any], None]) -> Answer:
    away = False
    while True:
        try:
            answer = to.change("GET", f"/replays/{segment(replay)}")
        except Unreachable as unreachable:
            # It survives a restart of the bridge, and so does who watches it.
            if not away:
                tell(unreachable)
            away = True
        else:
            away = False
            move(answer.value)
            if answer.value["status"] in _ENDED:
                return answer
        time.sleep(_EVERY)


@contextmanager
def _bar() -> Iterator[Callable[[Any], None]]:
    """Moves on standard error, on a terminal only."""
    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("pending", total=None)
        yield lambda replay: progress.update(
            task, description=replay["status"], completed=replay["done"], total=replay["total"]
        )


def show_replays(paper: TablePrinter, answer: Any) -> None:
    """A list of replays."""
    paper.table(COLUMNS, answer["items"], "no replays")


def show_replay(paper: TablePrinter, replay: Any) -> None:
    """One replay."""
    paper.line(f"{text(replay['status'])}: {replay['done']} of {replay['total']} started anew", "bold")
    paper.facts(
        [
            ("id", text(replay["id"])),
            ("filter", _filter(replay.get("filter"))),
            ("rate", _rate(replay.get("rate"))),
            ("created", f"{moment(replay['created_at'])} by {text(replay.get('created_by'))}"),
            ("finished", moment(replay.get("finished_at"))),
            ("left out", _left_out(replay)),
            ("error", text(replay.get("error"))),
        ]
    )


def _show_counted(paper: TablePrinter, told: Any, which: Mapping[str, Any]) -> None:
    least = "" if told.get("exact", True) else "at least "
    paper.line(f"{least}{_told(told['total'], which)} would be started anew")
    if left_out := _left_out(told):
        paper.line(f"left out: {left_out}")


def _left_out(replay: Any) -> str:
    left_out = replay.get("left_out")
    return f"{count(left_out, 'delivery')} of hooks that are gone or disabled" if left_out else ""


def _told(total: int, which: Mapping[str, Any]) -> str:
    return count(total, "event" if which.get("missing") else "delivery")


def _filter(which: Any) -> str:
    if not isinstance(which, dict):
        return text(which)
    named = {**which, "hook": which.get("hook_name") or which.get("hook")}
    told = (
        (name, each) for name, each in named.items() if each not in (None, [], False) and name != "hook_name"
    )
    return " ".join(f"{name}={text(each)}" for name, each in told)


def _rate(rate: Any) -> str:
    return f"{rate:.6g}/s" if isinstance(rate, (int, float)) else text(rate)
