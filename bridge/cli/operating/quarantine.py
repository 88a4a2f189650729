"""`amqp-bridge quarantine`: messages that could not be handled."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from bridge.cli.asking.command import WHERE, Watching, listed, remote, watched
from bridge.cli.asking.remote import Remote, needs_one, sure
from bridge.cli.operating.filters import Since, Source, Until, Yes

app = typer.Typer(
    name="quarantine",
    help="Messages that could not be handled: look, put back, drop.",
    no_args_is_help=True,
    epilog=WHERE,
)

EXAMPLES = f"""\b
Examples:
  amqp-bridge quarantine list --source splynx
  amqp-bridge quarantine show ID --raw > body.bin
  amqp-bridge quarantine list --all --json | jq -r .items[].id | amqp-bridge quarantine requeue -
  amqp-bridge quarantine drop ID --yes

{WHERE}"""

Id = Annotated[str, Argument(metavar="ID", help="Of the message.", show_default=False)]
Ids = Annotated[list[str] | None, Argument(metavar="ID...", help="Of messages; - reads them.")]


@app.command("list", cls=Watching, epilog=EXAMPLES)
@listed
def list_(
    to: Remote,
    *,
    source: Source = None,
    reason: Annotated[str | None, Option("--reason", metavar="WORD", help="For this reason.")] = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """List messages in quarantine, the newest first."""
    from bridge.cli.asking.moments import moment
    from bridge.cli.operating.quarantine_views import show_messages

    span = {"from": moment(since, "--since"), "to": moment(until, "--until")}
    to.pages("/quarantine", show_messages, {"source": source, "reason": reason, **span})


@app.command(cls=Watching, epilog=EXAMPLES)
@watched
def show(
    to: Remote,
    message: Id,
    *,
    raw: Annotated[bool, Option("--raw", help="Its bytes alone, on standard output.")] = False,
    output: Annotated[
        Path | None, Option("--output", "-o", metavar="FILE", help="With --raw: into this file.")
    ] = None,
) -> None:
    """Show a message in quarantine, whole."""
    from bridge.cli.asking.client import segment
    from bridge.cli.operating.quarantine_views import show_message

    path = f"/quarantine/{segment(message)}"
    if not raw and output is None:
        to.show(path, show_message)
        return
    body = to.change("GET", f"{path}/body").content
    if output is not None:
        output.write_bytes(body)
    else:
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()


@app.command(epilog=EXAMPLES)
@remote
def requeue(to: Remote, messages: Ids = None) -> None:
    """Put messages back into the queue they came from, where they are decoded anew."""
    from bridge.cli.asking.client import segment
    from bridge.cli.showing.words import text

    to.each(
        needs_one(messages, "the id of a message"),
        lambda each: to.change("POST", f"/quarantine/{segment(each)}/requeue"),
        lambda paper, row: paper.line(f"{text(row['id'])}: back in queue {text(row['queue'])!r}"),
    )


@app.command(epilog=EXAMPLES)
@remote
def drop(to: Remote, messages: Ids = None, *, yes: Yes = False) -> None:
    """Delete messages from quarantine, for good."""
    from bridge.cli.asking.client import segment

    ids = needs_one(messages, "the id of a message")
    sure("Delete from quarantine for good?", yes=yes or "-" in ids)

    def dropped(message: str) -> Any:
        answer = to.change("DELETE", f"/quarantine/{segment(message)}")
        if not to.as_json:
            typer.echo(f"{message}: deleted")
        return answer

    to.each(ids, dropped, lambda _paper, _nothing: None)
