"""`amqp-bridge quarantine`: messages that could not be handled."""

import sys
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from bridge.cli.asking.command import WHERE, Commands, Watching, listed, remote, watched
from bridge.cli.asking.remote import Remote, needs_one, sure
from bridge.cli.failures import usage
from bridge.cli.operating.filters import Since, Source, Until, Yes

app = Commands(
    name="quarantine",
    help="Messages that could not be handled: look, put back, drop.",
    no_args_is_help=True,
    epilog=WHERE,
)

EXAMPLES = f"""\b
Examples:
  amqp-bridge quarantine list --source splynx
  amqp-bridge quarantine show ID --raw > body.bin
  amqp-bridge quarantine requeue ID
  amqp-bridge quarantine requeue ID --edit               correct its body in $EDITOR first
  amqp-bridge quarantine requeue ID --body fixed.json --type order.created --dry-run
  amqp-bridge quarantine requeue --reason schema
  amqp-bridge quarantine drop --source splynx --reason not_utf8 --yes

{WHERE}"""

Id = Annotated[str, Argument(metavar="ID", help="Of the message.", show_default=False)]
Ids = Annotated[list[str] | None, Argument(metavar="ID...", help="Of messages; - reads them.")]
Reason = Annotated[str | None, Option("--reason", metavar="WORD", help="For this reason.")]
All = Annotated[bool, Option("--all", help="Every message there.")]


@app.command("list", cls=Watching, epilog=EXAMPLES)
@listed
def list_(
    to: Remote,
    *,
    source: Source = None,
    reason: Reason = None,
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
def requeue(
    to: Remote,
    messages: Ids = None,
    *,
    source: Source = None,
    reason: Reason = None,
    everything: All = False,
    edit: Annotated[bool, Option("--edit", help="Correct the body of one message in $EDITOR first.")] = False,
    body: Annotated[
        str | None, Option("--body", metavar="FILE", help="The corrected body of one message; - reads it.")
    ] = None,
    kind: Annotated[
        str | None, Option("--type", metavar="TYPE", help="The corrected property `type` of one message.")
    ] = None,
    header: Annotated[
        list[str] | None,
        Option("--header", "-H", metavar="K=V", help="A header to add or replace; K= takes it away."),
    ] = None,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Say what the source would make of each, and change nothing.")
    ] = False,
) -> None:
    """Put messages back into the queue they came from, as they came or corrected, where they are decoded anew."""
    from bridge.cli.asking.client import segment
    from bridge.cli.operating.correcting import corrected
    from bridge.cli.operating.many import chosen, requeue_many
    from bridge.cli.operating.quarantine_views import requeued

    correction = corrected(to, messages, body, kind, header, edit=edit)
    if many := chosen(messages, source, reason, everything=everything):
        if correction or dry_run:
            raise usage("", "--edit, --body, --type, --header and --dry-run go with ids of messages")
        requeue_many(to, many)
        return
    asked = correction | ({"dry_run": True} if dry_run else {})
    to.each(
        needs_one(messages, "the id of a message"),
        lambda each: to.change("POST", f"/quarantine/{segment(each)}/requeue", asked or None),
        requeued,
    )


@app.command(epilog=EXAMPLES)
@remote
def drop(
    to: Remote,
    messages: Ids = None,
    *,
    source: Source = None,
    reason: Reason = None,
    everything: All = False,
    yes: Yes = False,
) -> None:
    """Delete messages from quarantine, for good."""
    from bridge.cli.operating.many import chosen, drop_each, drop_many

    if many := chosen(messages, source, reason, everything=everything):
        sure("Delete all of these from quarantine for good?", yes=yes)
        drop_many(to, many)
        return
    ids = needs_one(messages, "the id of a message")
    sure("Delete from quarantine for good?", yes=yes or "-" in ids)
    drop_each(to, ids)
