"""`amqp-bridge tokens`: who may ask the admin API."""

from typing import Annotated, Literal

from typer import Argument, Option

from bridge.cli.asking.command import WHERE, Commands, Watching, examples, listed, remote
from bridge.cli.asking.names import roles, token_names
from bridge.cli.asking.remote import Remote, sure
from bridge.cli.failures import usage
from bridge.cli.operating.filters import Yes

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
    from bridge.cli.operating.access_views import show_new_token

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
    from bridge.cli.operating.access_views import show_tokens

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
    from bridge.cli.asking.client import segment

    found = to.change("GET", f"/tokens/{segment(which)}").value
    sure(f"Revoke the token {found['name']} ({found['role']})?", yes=yes)
    answer = to.change("DELETE", f"/tokens/{segment(found['id'])}")
    to.say(answer, lambda paper, _: paper.line(f"{found['name']}: revoked"))


@app.command(epilog=examples("amqp-bridge tokens me"))
@remote
def me(to: Remote) -> None:
    """Show what the token in use is good for."""
    from bridge.cli.operating.access_views import show_me

    to.show("/me", show_me)
