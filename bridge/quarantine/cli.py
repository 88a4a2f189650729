"""`amqp-bridge quarantine`: messages that could not be handled."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from bridge.bodies.exact import json_text
from bridge.terminal.client import Answer, segment
from bridge.terminal.options import (
    WHERE,
    Commands,
    Since,
    Source,
    Until,
    Watching,
    Yes,
    listed,
    remote,
    watched,
)
from bridge.terminal.output import FAILED, usage
from bridge.terminal.paper import Column, TablePrinter, count, identity, member, moment, text
from bridge.terminal.remote import Remote, needs_one, sure

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
  amqp-bridge quarantine requeue --reason schema_mismatch
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
    from bridge.terminal.options import moment

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
    from bridge.terminal.client import segment

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
    from bridge.quarantine.cli_correct import corrected
    from bridge.terminal.client import segment

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
    if many := chosen(messages, source, reason, everything=everything):
        sure("Delete all of these from quarantine for good?", yes=yes)
        drop_many(to, many)
        return
    ids = needs_one(messages, "the id of a message")
    sure("Delete from quarantine for good?", yes=yes or "-" in ids)
    drop_each(to, ids)


# Messages in quarantine as people see them.


_LONGEST = 4000

COLUMNS = (
    identity("id"),
    member("source", least=8, drop=1),
    member("reason", least=10),
    Column("since", lambda row: moment(row["quarantined_at"]), drop=2),
    member("detail", least=20, drop=3),
)


def show_messages(paper: TablePrinter, answer: Any) -> None:
    """A list of messages."""
    paper.table(COLUMNS, answer["items"], "nothing in quarantine")


def show_message(paper: TablePrinter, message: Any) -> None:
    """One message, whole."""
    paper.line(f"{text(message['reason'])}: {text(message['detail'])}", "bold red")
    names = ("id", "source", "quarantined_at", "exchange", "routing_key", "redelivered")
    paper.facts([(name.replace("_", " "), text(message.get(name))) for name in names])
    paper.facts(
        [(name, text(json_text(message[name]))) for name in ("properties", "headers") if message.get(name)]
    )
    body = message.get("body_text")
    shown = f"{message.get('body_base64', '')} (base64)" if body is None else text(body)
    paper.facts([("body", shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}... (--raw shows all)")])


def requeued(paper: TablePrinter, row: Any) -> None:
    """A message that is back in its queue, or what would become of it."""
    if not row["dry_run"]:
        paper.line(f"{text(row['id'])}: back in queue {text(row['queue'])!r}")
        return
    kinds = ", ".join(map(text, row["event_types"])) or "no event"
    paper.line(f"{text(row['id'])}: would go to queue {text(row['queue'])!r} as {kinds}")
    if row["fault"]:
        paper.line(f"it would come back to quarantine: {text(row['fault'])}", "bold red")


# Many messages in quarantine put back or deleted at once.


Chosen = dict[str, Any]


def chosen(
    ids: list[str] | None, source: str | None, reason: str | None, *, everything: bool
) -> Chosen | None:
    """The filter, None where ids are given instead; raises SettingsError for both, and for --all beside a filter."""
    which = {name: value for name, value in (("source", source), ("reason", reason)) if value is not None}
    if ids and (which or everything):
        raise usage("", "give either ids, or --source and --reason, or --all")
    if everything and which:
        raise usage("--all", "goes not with --source and --reason")
    return which | ({"all": True} if everything else {}) or None


def requeue_many(to: Remote, which: Chosen) -> None:
    """Put back all that fit; raises Exit where some cannot go back."""
    body = {name: value for name, value in which.items() if name != "all"}
    total: dict[str, Any] = {"requeued": 0, "kept": 0, "error": None, "more": True}
    while total["more"]:
        told = to.change("POST", "/quarantine/requeue", body).value
        total["requeued"] += told["requeued"]
        total |= {"kept": told["kept"], "error": total["error"] or told["error"], "more": told["more"]}
        if not told["requeued"]:
            break
    to.say(_answer(total), _show_requeued)
    if total["kept"]:
        raise typer.Exit(FAILED)


def drop_many(to: Remote, which: Chosen) -> None:
    """Delete all that fit."""
    total: dict[str, Any] = {"dropped": 0, "more": True}
    while total["more"]:
        told = to.change("DELETE", "/quarantine", query=which).value
        total = {"dropped": total["dropped"] + told["dropped"], "more": told["more"]}
        if not told["dropped"]:
            break
    to.say(_answer(total), lambda paper, told: paper.line(f"{count(told['dropped'], 'message')} deleted"))


def drop_each(to: Remote, ids: list[str]) -> None:
    """Delete these, whatever becomes of the others; raises Exit as `Remote.each` does."""

    def dropped(message: str) -> Answer:
        answer = to.change("DELETE", f"/quarantine/{segment(message)}")
        if not to.as_json:
            to.paper.line(f"{message}: deleted")
        return answer

    to.each(ids, dropped, lambda _paper, _nothing: None)


def _show_requeued(paper: TablePrinter, told: Mapping[str, Any]) -> None:
    paper.line(f"{count(told['requeued'], 'message')} back in their queues")
    if told["kept"]:
        paper.line(f"{count(told['kept'], 'message')} cannot go back: {text(told['error'])}")


def _answer(total: Mapping[str, Any]) -> Answer:
    return Answer(200, {}, json_text(total).encode(), total)
