"""`amqp-bridge tokens`: who may ask the admin API; and the lists `sources`, `replicas` and `audit`."""

from typing import Annotated, Any, Literal

from typer import Argument

from bridge.bodies.exact import json_text
from bridge.terminal.client import segment
from bridge.terminal.groups import flag, option
from bridge.terminal.options import SPAN, YES, RemoteCommands, examples, one_of, token_names
from bridge.terminal.output import usage
from bridge.terminal.paper import Column, ListView, TablePrinter, column, columns, described, moment, text
from bridge.terminal.remote import Remote, confirm

EXAMPLES = examples(
    """
amqp-bridge tokens create grafana --role viewer
amqp-bridge tokens create night-shift --role operator --expires-in 30d --json | jq -r .token
amqp-bridge tokens list
amqp-bridge tokens revoke grafana
""",
    """\
Roles: viewer looks at everything; operator also pauses, resumes, tests, retries, cancels, replays, publishes;
admin also changes hooks, secrets and tokens.""",
)
ROLES = one_of(
    viewer="looks at everything",
    operator="also pauses, retries, replays, publishes",
    admin="also changes hooks, secrets and tokens",
)

app = RemoteCommands("tokens", no_args_is_help=True)
lists = RemoteCommands()


def _ends(token: Any) -> str:
    if token.get("revoked_at"):
        return f"revoked {moment(token['revoked_at'])}"
    return moment(token.get("expires_at"))


TOKENS = ListView(
    "no tokens but http.admin_token",
    column("name", least=12),
    column("role"),
    column("id", drop=4),
    column("created_at", "created", moment, drop=3),
    column("created_by", "by", least=6, drop=5),
    column("last_used_at", "last used", lambda at: moment(at) or "never", drop=1),
    Column("ends", _ends, drop=2),
)
NEW_TOKEN = (*columns("name role id token"), column("expires_at", "expires", moment))


@app.remote(
    epilog=EXAMPLES,
    own=(
        option(
            "--role -r",
            None,
            "Role of the token.",
            Literal["viewer", "operator", "admin"],
            default=...,
            autocompletion=ROLES,
        ),
        option("--name", "NAME", "Same as the argument NAME.", name="named"),
        option("--expires-in", "DURATION", "Lifetime, such as 30d. Default: the token does not expire."),
    ),
)
def create(
    to: Remote,
    name: Annotated[str | None, Argument(metavar="NAME", help="Who it is for.")] = None,
    *,
    role: str,
    named: str | None,
    expires_in: str | None,
) -> None:
    """Create a token, which is shown only once."""
    if (name is None) == (named is None):
        raise usage("--name", "give the token one name")
    lifetime = {"expires_in": expires_in} if expires_in is not None else {}
    answer = to.change("POST", "/tokens", {"name": name or named, "role": role, **lifetime})
    to.say(answer, _show_new_token)


def _show_new_token(paper: TablePrinter, token: Any) -> None:
    paper.facts(described(token, NEW_TOKEN))
    paper.line("The token is not shown again.")


app.listing(
    "list",
    "/tokens",
    "List tokens: role, and when they were used last.",
    TOKENS,
    flag("--revoked", "Include revoked tokens."),
    epilog=EXAMPLES,
)


@app.remote(epilog=EXAMPLES, own=(YES,))
def revoke(
    to: Remote,
    which: Annotated[
        str, Argument(metavar="NAME|ID", help="Of the token.", show_default=False, autocompletion=token_names)
    ],
    *,
    yes: bool,
) -> None:
    """Revoke a token; its requests are refused from now on."""
    found = to.change("GET", f"/tokens/{segment(which)}").value
    confirm(f"Revoke the token {found['name']} ({found['role']})?", yes=yes)
    answer = to.change("DELETE", f"/tokens/{segment(found['id'])}")
    to.say(answer, lambda paper, _: paper.line(f"{found['name']}: revoked"))


@app.remote(epilog=examples("amqp-bridge tokens me"))
def me(to: Remote) -> None:
    """Show the permissions of the token in use."""
    to.show("/me", lambda paper, me: paper.line(f"{text(me.get('name'))}: {text(me.get('role'))}"))


# Further lists.


def _object(row: Any) -> str:
    return f"{text(row.get('object_type'))} {text(row.get('object_name') or row.get('object_id'))}".strip()


lists.listing(
    "sources",
    "/sources",
    "List sources: queue depths, consumers, and whether they are consumed.",
    ListView(
        "no sources",
        column("name", least=8),
        column("queue", least=12, drop=2),
        column("format", drop=4),
        column("state", style=lambda each: "green" if each == "consuming" else "yellow"),
        column("depth", right=True),
        column("consumers", right=True, drop=1),
        Column("held", lambda row: f"{row['held']}/{row['prefetch']}", right=True, drop=3),
    ),
    epilog=examples("""
amqp-bridge sources --watch
amqp-bridge sources --json | jq '.items[] | {name, depth}'
"""),
)
lists.listing(
    "replicas",
    "/replicas",
    "List the bridges that share the database.",
    ListView(
        "no replicas",
        column("id", least=12),
        column("host", least=8),
        column("targets", least=8, drop=1),
        column("started_at", "started", moment, drop=3),
        column("seen_at", "seen", moment, drop=2),
        column("revision", right=True, drop=4),
    ),
    epilog=examples("amqp-bridge replicas"),
)
lists.listing(
    "audit",
    "/audit",
    "List the audit log, newest entries first.",
    ListView(
        "nothing was changed",
        column("at", show=moment),
        column("actor", least=8),
        column("role", drop=4),
        column("action", least=12),
        Column("object", _object, least=12, drop=1),
        column("remote", drop=5),
        column("detail", show=lambda each: text(json_text(each)) if each else "", least=16, drop=2),
    ),
    option("--actor", "NAME", "Only changes made with this token."),
    option("--action", "ACTION", "Only this action, such as hooks.pause."),
    option("--object-type", "TYPE", "Only objects of this type, such as hook."),
    option("--object-id", "ID", "Only changes of the object with this id; a hook's name works too."),
    *SPAN,
    epilog=examples("""
amqp-bridge audit --since today
amqp-bridge audit --object-type hook --object-id crm
"""),
)
