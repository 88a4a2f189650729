"""`amqp-bridge quarantine`: messages that could not be handled."""

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument

from bridge.bodies.exact import json_text
from bridge.terminal.client import ApiResponse, answer_of, segment
from bridge.terminal.groups import flag, option
from bridge.terminal.options import (
    SOURCE,
    SPAN,
    WATCHED,
    YES,
    RemoteCommands,
    body_members,
    content,
    examples,
    parsed_headers,
)
from bridge.terminal.output import FAILED, Failure, usage
from bridge.terminal.paper import (
    ListView,
    TablePrinter,
    column,
    columns,
    count,
    described,
    identity,
    moment,
    text,
)
from bridge.terminal.remote import Remote, confirm, needs_one

EXAMPLES = examples("""
amqp-bridge quarantine list --source splynx
amqp-bridge quarantine show ID --raw > body.bin
amqp-bridge quarantine requeue ID
amqp-bridge quarantine requeue ID --edit               correct its body in $EDITOR first
amqp-bridge quarantine requeue ID --body fixed.json --type order.created --dry-run
amqp-bridge quarantine requeue --reason schema_mismatch
amqp-bridge quarantine drop --source splynx --reason not_utf8 --yes
""")
Ids = Annotated[list[str] | None, Argument(metavar="ID...", help="Ids of messages; - reads stdin.")]
REASON = option("--reason", "WORD", "Only messages with this reason.")
ALL = flag("--all", "All messages in quarantine.", name="everything")
_LONGEST = 4000

app = RemoteCommands("quarantine", no_args_is_help=True)
app.listing(
    "list",
    "/quarantine",
    "List messages in quarantine, the newest first.",
    ListView(
        "nothing in quarantine",
        identity("id"),
        column("source", least=8, drop=1),
        column("reason", least=10),
        column("quarantined_at", "since", moment, drop=2),
        column("detail", least=20, drop=3),
    ),
    SOURCE,
    REASON,
    *SPAN,
    epilog=EXAMPLES,
)


@app.remote(
    epilog=EXAMPLES,
    own=(
        flag("--raw", "Print only the body, byte for byte."),
        option("--output -o", "FILE", "With --raw: write the body to this file.", Path),
    ),
    common=WATCHED,
)
def show(
    to: Remote,
    message: Annotated[str, Argument(metavar="ID", help="Id of the message.", show_default=False)],
    *,
    raw: bool,
    output: Path | None,
) -> None:
    """Show a quarantined message with its body."""
    path = f"/quarantine/{segment(message)}"
    if not raw and output is None:
        to.show(path, _show_message)
        return
    body = to.change("GET", f"{path}/body").content
    if output is not None:
        output.write_bytes(body)
    else:
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()


def _show_message(paper: TablePrinter, message: Any) -> None:
    paper.line(f"{text(message['reason'])}: {text(message['detail'])}", "bold red")
    names = "id source quarantined_at exchange routing_key redelivered"
    paper.facts(described(message, columns(names)))
    paper.facts(
        [(name, text(json_text(message[name]))) for name in ("properties", "headers") if message.get(name)]
    )
    body = message.get("body_text")
    shown = f"{message.get('body_base64', '')} (base64)" if body is None else text(body)
    paper.facts([("body", shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}... (--raw shows all)")])


@app.remote(
    epilog=EXAMPLES,
    own=(
        *(SOURCE, REASON, ALL),
        flag("--edit", "Edit the body of one message in $EDITOR first."),
        option("--body", "FILE", "Replacement for the body of one message; - reads standard input."),
        option("--type", "TYPE", "Replacement for the property `type` of one message."),
        option("--header -H", "K=V", "Header to add or replace; K= removes it.", list[str]),
        flag("--dry-run", "Show how the source would decode each message, without requeuing."),
    ),
)
def requeue(
    to: Remote,
    messages: Ids = None,
    *,
    source: str | None,
    reason: str | None,
    everything: bool,
    dry_run: bool,
    **correct: Any,
) -> None:
    """Requeue messages to the queue they came from, unchanged or corrected; they are decoded again."""
    correction = _corrected(to, messages, **correct)
    if many := _chosen(messages, source, reason, everything=everything):
        if correction or dry_run:
            raise usage("", "--edit, --body, --type, --header and --dry-run go with ids of messages")
        _requeue_many(to, many)
        return
    asked = correction | ({"dry_run": True} if dry_run else {})
    to.each(
        needs_one(messages, "the id of a message"),
        lambda each: to.change("POST", f"/quarantine/{segment(each)}/requeue", asked or None),
        _requeued,
    )


def _requeued(paper: TablePrinter, row: Any) -> None:
    if not row["dry_run"]:
        paper.line(f"{text(row['id'])}: back in queue {text(row['queue'])!r}")
        return
    kinds = ", ".join(map(text, row["event_types"])) or "no event"
    paper.line(f"{text(row['id'])}: would go to queue {text(row['queue'])!r} as {kinds}")
    if row["fault"]:
        paper.line(f"it would come back to quarantine: {text(row['fault'])}", "bold red")


@app.remote(epilog=EXAMPLES, own=(SOURCE, REASON, ALL, YES))
def drop(to: Remote, messages: Ids = None, *, yes: bool, **which: Any) -> None:
    """Delete messages from quarantine."""
    if many := _chosen(messages, **which):
        confirm("Delete all of these from quarantine for good?", yes=yes)
        _drop_many(to, many)
        return
    ids = needs_one(messages, "the id of a message")
    confirm("Delete from quarantine for good?", yes=yes or "-" in ids)

    def dropped(message: str) -> ApiResponse:
        answer = to.change("DELETE", f"/quarantine/{segment(message)}")
        if not to.as_json:
            to.paper.line(f"{message}: deleted")
        return answer

    to.each(ids, dropped, lambda _paper, _nothing: None)


# Many messages requeued or deleted at once.


def _chosen(
    ids: list[str] | None, source: str | None, reason: str | None, *, everything: bool
) -> dict[str, Any] | None:
    """Returns the filter, None if ids are given instead; raises SettingsError for both, and for --all with a filter."""
    which = {name: value for name, value in (("source", source), ("reason", reason)) if value is not None}
    if ids and (which or everything):
        raise usage("", "give either ids, or --source and --reason, or --all")
    if everything and which:
        raise usage("--all", "goes not with --source and --reason")
    return which | ({"all": True} if everything else {}) or None


def _requeue_many(to: Remote, which: Mapping[str, Any]) -> None:
    body = {name: value for name, value in which.items() if name != "all"}
    total: dict[str, Any] = {"requeued": 0, "kept": 0, "error": None, "more": True}
    while total["more"]:
        told = to.change("POST", "/quarantine/requeue", body).value
        total["requeued"] += told["requeued"]
        total |= {"kept": told["kept"], "error": total["error"] or told["error"], "more": told["more"]}
        if not told["requeued"]:
            break
    to.say(answer_of(total), _show_requeued)
    if total["kept"]:
        raise typer.Exit(FAILED)


def _show_requeued(paper: TablePrinter, told: Any) -> None:
    paper.line(f"{count(told['requeued'], 'message')} back in their queues")
    if told["kept"]:
        paper.line(f"{count(told['kept'], 'message')} cannot go back: {text(told['error'])}")


def _drop_many(to: Remote, which: Mapping[str, Any]) -> None:
    total: dict[str, Any] = {"dropped": 0, "more": True}
    while total["more"]:
        told = to.change("DELETE", "/quarantine", query=which).value
        total = {"dropped": total["dropped"] + told["dropped"], "more": told["more"]}
        if not told["dropped"]:
            break
    to.say(answer_of(total), lambda paper, told: paper.line(f"{count(told['dropped'], 'message')} deleted"))


# The correction of a message in an editor or by options.


def _corrected(to: Remote, ids: list[str] | None, *, edit: bool, **said: Any) -> dict[str, Any]:
    """Returns the request body, empty without correction; raises SettingsError, Failure for an unchanged body."""
    found: dict[str, Any] = {"type": said["type"]} if said["type"] is not None else {}
    if said["header"]:
        headers = parsed_headers(said["header"])
        found["headers"] = {name: told or None for name, told in headers.items()}
    body = said["body"]
    if edit and body is not None:
        raise usage("--edit", "goes not with --body")
    if (found or edit or body is not None) and (ids is None or len(ids) != 1 or ids == ["-"]):
        raise usage("", "one message is corrected at a time: give its id")
    if edit and ids:
        return found | body_members(_edited(to, ids[0]))
    return found | (body_members(content(body)) if body is not None else {})


def _edited(to: Remote, message: str) -> bytes:
    """Returns the body after editing. The file is readable by its owner only, and is deleted afterwards."""
    known = to.change("GET", f"/quarantine/{segment(message)}").value["body_text"]
    if known is None:
        raise usage("--edit", "the body is no text; give the corrected one with --body FILE")
    before = known.encode()
    after = _through_editor(before, ".json" if known.lstrip()[:1] in "{[" else ".txt")
    if not before.endswith(b"\n"):
        after = after.removesuffix(b"\n")  # editors append a line break
    if after == before:
        raise Failure(["nothing was changed: the message stays in quarantine"])
    return after


def _through_editor(before: bytes, suffix: str) -> bytes:
    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory(prefix="amqp-bridge-") as folder:
        file = Path(folder) / f"body{suffix}"
        file.write_bytes(before)
        try:
            subprocess.run([*editor, str(file)], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Failure([f"the editor failed, and nothing was changed: {error}"]) from None
        return file.read_bytes()
