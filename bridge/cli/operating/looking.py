"""`amqp-bridge sources`, `replicas` and `audit`: lists of their own."""

from typing import Annotated

from typer import Option

from bridge.cli.asking.command import WHERE, listed
from bridge.cli.asking.remote import Remote
from bridge.cli.operating.filters import Since, Until

SOURCES = f"""\b
Examples:
  amqp-bridge sources --watch
  amqp-bridge sources --json | jq '.items[] | {{name, depth}}'

{WHERE}"""
AUDIT = f"""\b
Examples:
  amqp-bridge audit --since today
  amqp-bridge audit --object-type hook --object-id crm

{WHERE}"""


@listed
def sources(to: Remote) -> None:
    """List sources: queue depths, consumers, and whether they are consumed."""
    from bridge.cli.operating.access_views import show_sources

    to.pages("/sources", show_sources)


@listed
def replicas(to: Remote) -> None:
    """List the bridges that share the database."""
    from bridge.cli.operating.access_views import show_replicas

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
    from bridge.cli.asking.moments import moment
    from bridge.cli.operating.access_views import show_deeds

    query = {"actor": actor, "action": action, "object_type": object_type, "object_id": object_id}
    to.pages(
        "/audit", show_deeds, {**query, "from": moment(since, "--since"), "to": moment(until, "--until")}
    )
