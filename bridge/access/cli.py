"""`amqp-bridge tokens`: who may ask the admin API."""

from typing import Annotated, Any, Literal

from typer import Argument, Option

from bridge.bodies.exact import json_text
from bridge.terminal.options import (
    WHERE,
    Commands,
    Since,
    Until,
    Watching,
    Yes,
    examples,
    listed,
    remote,
    roles,
    token_names,
)
from bridge.terminal.output import usage
from bridge.terminal.paper import Column, TablePrinter, member, moment, text
from bridge.terminal.remote import Remote, sure

app = Commands(
    name="tokens",
    help="Tokens of the admin API: make, list, revoke.",
    no_args_is_help=True,
    epilog=WHERE,
)

EXAMPLES = f"""\b
Examples:
  amqp-bridge tokens create grafana --role viewer
  amqp-bridge tokens create night-shift --role operator --expires-in 30d --json | jq -r .token
  amqp-bridge tokens list
  amqp-bridge tokens revoke grafana
Roles: viewer looks at everything; operator also pauses, resumes, tests, retries, cancels, replays, publishes;
admin also changes hooks, secrets and tokens.

{WHERE}"""


@app.command(epilog=EXAMPLES)
@remote
def create(
    to: Remote,
    name: Annotated[str | None, Argument(metavar="NAME", help="Who it is for.")] = None,
    *,
    role: Annotated[
        Literal["viewer", "operator", "admin"],
        Option("--role", "-r", help="What it is good for.", autocompletion=roles),
    ],
    named: Annotated[str | None, Option("--name", metavar="NAME", help="The same as NAME.")] = None,
    expires_in: Annotated[
        str | None,
        Option("--expires-in", metavar="DURATION", help="Such as 30d. Default: it does not expire."),
    ] = None,
) -> None:
    """Make a token; it is shown this once."""
    if (name is None) == (named is None):
        raise usage("--name", "give the token one name")
    body = {"name": name or named, "role": role} | (
        {"expires_in": expires_in} if expires_in is not None else {}
    )
    to.say(to.change("POST", "/tokens", body), show_new_token)


@app.command("list", cls=Watching, epilog=EXAMPLES)
@listed
def list_(
    to: Remote,
    *,
    revoked: Annotated[bool, Option("--revoked", help="Those that are revoked as well.")] = False,
) -> None:
    """List tokens: role, and when they were used last."""
    to.pages("/tokens", show_tokens, {"revoked": revoked or None})


@app.command(epilog=EXAMPLES)
@remote
def revoke(
    to: Remote,
    which: Annotated[
        str, Argument(metavar="NAME|ID", help="Of the token.", show_default=False, autocompletion=token_names)
    ],
    *,
    yes: Yes = False,
) -> None:
    """Revoke a token; whoever holds it is refused from now on."""
    from bridge.terminal.client import segment

    found = to.change("GET", f"/tokens/{segment(which)}").value
    sure(f"Revoke the token {found['name']} ({found['role']})?", yes=yes)
    answer = to.change("DELETE", f"/tokens/{segment(found['id'])}")
    to.say(answer, lambda paper, _: paper.line(f"{found['name']}: revoked"))


@app.command(epilog=examples("amqp-bridge tokens me"))
@remote
def me(to: Remote) -> None:
    """Show what the token in use is good for."""
    to.show("/me", show_me)


# Tokens, the audit log, sources and replicas as people see them.


def _end(token: Any) -> str:
    if token.get("revoked_at"):
        return f"revoked {moment(token['revoked_at'])}"
    return moment(token.get("expires_at"))


def _detail(detail: Any) -> str:
    return text(json_text(detail)) if detail else ""


TOKENS = (
    member("name", least=12),
    member("role"),
    member("id", drop=4),
    Column("created", lambda row: moment(row.get("created_at")), drop=3),
    member("created_by", "by", least=6, drop=5),
    Column("last used", lambda row: moment(row.get("last_used_at")) or "never", drop=1),
    Column("ends", _end, drop=2),
)
DEEDS = (
    Column("at", lambda row: moment(row["at"])),
    member("actor", least=8),
    member("role", drop=4),
    member("action", least=12),
    Column("object", lambda row: f"{text(row.get('object_type'))} {text(row.get('object_name') or row.get('object_id'))}".strip(), least=12, drop=1),
    member("remote", drop=5),
    Column("detail", lambda row: _detail(row.get("detail")), least=16, drop=2),
)  # fmt: skip
SOURCES = (
    member("name", least=8),
    member("queue", least=12, drop=2),
    member("format", drop=4),
    Column(
        "state",
        lambda row: text(row["state"]),
        style=lambda each: "green" if each == "consuming" else "yellow",
    ),
    member("depth", right=True),
    member("consumers", right=True, drop=1),
    Column("held", lambda row: f"{row['held']}/{row['prefetch']}", right=True, drop=3),
)
REPLICAS = (
    member("id", least=12),
    member("host", least=8),
    member("targets", least=8, drop=1),
    Column("started", lambda row: moment(row["started_at"]), drop=3),
    Column("seen", lambda row: moment(row["seen_at"]), drop=2),
    member("revision", right=True, drop=4),
)


def show_tokens(paper: TablePrinter, answer: Any) -> None:
    """A list of tokens."""
    paper.table(TOKENS, answer["items"], "no tokens but http.admin_token")


def show_new_token(paper: TablePrinter, token: Any) -> None:
    """A new token, this once."""
    paper.facts(
        [
            ("name", text(token.get("name"))),
            ("role", text(token.get("role"))),
            ("id", text(token.get("id"))),
            ("token", text(token.get("token"))),
            ("expires", moment(token.get("expires_at"))),
        ]
    )
    paper.line("The token is not shown again.")


def show_me(paper: TablePrinter, me: Any) -> None:
    """Who asks."""
    paper.line(f"{text(me.get('name'))}: {text(me.get('role'))}")


def show_deeds(paper: TablePrinter, answer: Any) -> None:
    """A part of the audit log."""
    paper.table(DEEDS, answer["items"], "nothing was changed")


def show_sources(paper: TablePrinter, answer: Any) -> None:
    """Sources."""
    paper.table(SOURCES, answer["items"], "no sources")


def show_replicas(paper: TablePrinter, answer: Any) -> None:
    """Replicas."""
    paper.table(REPLICAS, answer["items"], "no replicas")


# `amqp-bridge sources`, `replicas` and `audit`: lists of their own.


SOURCES_HELP = f"""\b
Examples:
  amqp-bridge sources --watch
  amqp-bridge sources --json | jq '.items[] | {{name, depth}}'

{WHERE}"""
AUDIT_HELP = f"""\b
Examples:
  amqp-bridge audit --since today
  amqp-bridge audit --object-type hook --object-id crm

{WHERE}"""


@listed
def sources(to: Remote) -> None:
    """List sources: queue depths, consumers, and whether they are consumed."""
    to.pages("/sources", show_sources)


@listed
def replicas(to: Remote) -> None:
    """List the bridges that share the database."""
    to.pages("/replicas", show_replicas)


@listed
def audit(
    to: Remote,
    *,
    actor: Annotated[str | None, Option("--actor", metavar="NAME", help="Done with this token.")] = None,
    action: Annotated[str | None, Option("--action", metavar="ACTION", help="Such as hooks.pause.")] = None,
    object_type: Annotated[str | None, Option("--object-type", metavar="TYPE", help="Such as hook.")] = None,
    object_id: Annotated[
        str | None, Option("--object-id", metavar="ID", help="Done to this one; of a hook its name too.")
    ] = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """List who changed what, the latest first."""
    from bridge.terminal.options import moment

    query = {"actor": actor, "action": action, "object_type": object_type, "object_id": object_id}
    to.pages(
        "/audit", show_deeds, {**query, "from": moment(since, "--since"), "to": moment(until, "--until")}
    )
