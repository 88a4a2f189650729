"""`amqp-bridge replay`: many deliveries started anew, as a job of the bridge."""

from typing import Annotated

from typer import Argument, Option

from bridge.cli.asking.command import WHERE, Commands, Watching, alone, listed, remote, watched
from bridge.cli.asking.remote import Remote
from bridge.cli.operating.filters import Hook, Since, Source, Statuses, Type, Until

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
    from bridge.cli.asking.moments import moment
    from bridge.cli.operating.following import begin

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
    from bridge.cli.operating.following import show_replays

    to.pages("/replays", show_replays)


@app.command(cls=Watching, epilog=WHERE)
@watched
def show(to: Remote, replay: Id) -> None:
    """Show a replay: how far it is."""
    from bridge.cli.asking.client import segment
    from bridge.cli.operating.following import show_replay

    to.show(f"/replays/{segment(replay)}", show_replay)


@app.command(epilog=WHERE)
@remote
def watch(to: Remote, replay: Id) -> None:
    """Follow a replay until it ends; the exit code is 1 where it did not get to its end."""
    from bridge.cli.operating.following import follow

    follow(to, replay)


@app.command(epilog=WHERE)
@remote
def cancel(to: Remote, replay: Id) -> None:
    """Stop a replay; what it has started anew already stays so."""
    from bridge.cli.asking.client import segment
    from bridge.cli.operating.following import show_replay

    to.say(to.change("POST", f"/replays/{segment(replay)}/cancel"), show_replay)
