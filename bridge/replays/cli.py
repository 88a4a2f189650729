"""`amqp-bridge replay`: retries many deliveries as one job of the bridge."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from typer import Argument

from bridge.terminal.client import ApiResponse, Unreachable, segment
from bridge.terminal.groups import flag, option
from bridge.terminal.options import (
    CODE,
    HOOK,
    OUTCOME,
    SOURCE,
    SPAN,
    STATUSES,
    TYPE,
    WATCHED,
    RemoteCommands,
    examples,
    queried,
)
from bridge.terminal.output import FAILED, tell
from bridge.terminal.paper import (
    Column,
    ListView,
    TablePrinter,
    column,
    count,
    described,
    identity,
    moment,
    text,
)
from bridge.terminal.remote import Remote

EXAMPLES = examples(
    """
amqp-bridge replay --hook crm --since 2h --dry-run
amqp-bridge replay --hook crm --status FAILED --since 2025-05-05 --rate 50/s
amqp-bridge replay --hook crm --missing --since 7d    events it matches today and has no delivery for
amqp-bridge replay list
amqp-bridge replay show ID
amqp-bridge replay watch ID
amqp-bridge replay cancel ID
""",
    "Without --detach the command follows the replay until it ends. Ctrl-C ends the command, and the replay continues.",
)
Id = Annotated[str, Argument(metavar="ID", help="Id of the replay.", show_default=False)]
_EVERY = 0.5
_ENDED = frozenset({"done", "cancelled", "failed"})

app = RemoteCommands("replay", epilog=EXAMPLES)


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


def _left_out(left_out: Any) -> str:
    return f"{count(left_out, 'delivery')} of hooks that are gone or disabled" if left_out else ""


def _results(results: Any) -> str:
    if not results:
        return ""
    told = ", ".join(f"{results[name]} {name}" for name in ("succeeded", "failed", "waiting"))
    return (
        told
        if results["exact"]
        else f"{told} of the first {sum(results[name] for name in ('succeeded', 'failed', 'waiting'))}"
    )


REPLAYS = ListView(
    "no replays",
    identity("id"),
    column("status"),
    Column("done", lambda row: f"{row['done']}/{row['total']}", right=True),
    column("filter", show=_filter, least=16, drop=2),
    column("rate", show=_rate, drop=4),
    column("created_at", "created", moment, drop=3),
    column("created_by", "by", least=6, drop=5),
)
REPLAY = (
    column("id"),
    column("filter", show=_filter),
    column("rate", show=_rate),
    Column("created", lambda row: f"{moment(row['created_at'])} by {text(row.get('created_by'))}"),
    column("finished_at", "finished", moment),
    column("left_out", show=_left_out),
    column("results", show=_results),
    column("error"),
)


@app.remote(
    epilog=EXAMPLES,
    own=(
        *(HOOK, STATUSES, TYPE, SOURCE, OUTCOME, CODE, *SPAN),
        flag("--missing", "Create deliveries for events that --hook matches now and has no delivery of."),
        option("--rate", "RATE", "Maximum rate, such as 50/s. Default: unlimited."),
        flag("--dry-run", "Only count the matching deliveries."),
        flag("--detach", "Return at once instead of following the replay."),
    ),
)
def start(to: Remote, *, rate: str | None, dry_run: bool, detach: bool, **which: Any) -> None:
    """Retry the deliveries that match the filter: FAILED ones, unless --status says otherwise."""
    told = {name: value for name, value in queried(which).items() if value is not None}
    answer = to.change("POST", "/replays", {"filter": told, "rate": rate, "dry_run": dry_run})
    if dry_run:
        to.say(answer, lambda paper, counted: _show_counted(paper, counted, told))
    elif detach:
        to.say(answer, _show_replay)
    else:
        if not to.as_json:
            typer.echo(f"replay {answer.value['id']}: {_told(answer.value['total'], told)}", err=True)
        _follow(to, str(answer.value["id"]))


app.alone(start)
app.listing("list", "/replays", "List replays, the newest first.", REPLAYS)


@app.remote(common=WATCHED)
def show(to: Remote, replay: Id) -> None:
    """Show the progress of a replay."""
    to.show(f"/replays/{segment(replay)}", _show_replay)


@app.remote()
def watch(to: Remote, replay: Id) -> None:
    """Follow a replay until it ends; the exit code is 1 if it was cancelled or failed."""
    _follow(to, replay)


@app.remote()
def cancel(to: Remote, replay: Id) -> None:
    """Cancel a replay; deliveries that it has started continue."""
    to.say(to.change("POST", f"/replays/{segment(replay)}/cancel"), _show_replay)


# The progress of a replay from start to end, with a progress bar.


def _follow(to: Remote, replay: str) -> None:
    """Shows the progress until the replay ends, then its result; raises Exit if it was cancelled or failed."""
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
    to.say(answer, _show_replay)
    if answer.value["status"] != "done":
        raise typer.Exit(FAILED)


def _until_ended(to: Remote, replay: str, move: Callable[[Any], None]) -> ApiResponse:
    away = False
    while True:
        try:
            answer = to.change("GET", f"/replays/{segment(replay)}")
        except Unreachable as unreachable:
            # A replay survives a restart of the bridge, so the command does too.
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
    """Yields the function that moves the progress bar on standard error; without a terminal it does nothing."""
    console = Console(file=sys.stderr)
    parts = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*parts, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("pending", total=None)
        yield lambda replay: progress.update(
            task, description=replay["status"], completed=replay["done"], total=replay["total"]
        )


def _show_replay(paper: TablePrinter, replay: Any) -> None:
    paper.line(f"{text(replay['status'])}: {replay['done']} of {replay['total']} started anew", "bold")
    paper.facts(described(replay, REPLAY))


def _show_counted(paper: TablePrinter, told: Any, which: Mapping[str, Any]) -> None:
    least = "" if told.get("exact", True) else "at least "
    paper.line(f"{least}{_told(told['total'], which)} would be started anew")
    if left_out := _left_out(told.get("left_out")):
        paper.line(f"left out: {left_out}")


def _told(total: int, which: Mapping[str, Any]) -> str:
    return count(total, "event" if which.get("missing") else "delivery")
