"""`amqp-bridge deliveries`."""

from typing import Annotated, Literal

from typer import Argument, Option

from bridge.cli.asking.command import WHERE, Commands, Watching, listed, remote, watched
from bridge.cli.asking.remote import Remote, needs_one
from bridge.cli.operating.filters import Hook, Since, Statuses, Type, Until, UpdatedSince, UpdatedUntil

app = Commands(
    name="deliveries",
    help="Deliveries: look, retry, cancel.",
    no_args_is_help=True,
    epilog=WHERE,
)

LIST = f"""\b
Examples:
  amqp-bridge deliveries list --status FAILED --hook crm --since 1h
  amqp-bridge deliveries list --status FAILED --updated-since 1h     what failed in the last hour
  amqp-bridge deliveries list --watch
  amqp-bridge deliveries list --status FAILED --all --json | jq -r .items[].id | amqp-bridge deliveries retry -

{WHERE}"""
SHOW = f"""\b
Examples:
  amqp-bridge deliveries show 01987a5c-2f3e-7cc1
  amqp-bridge deliveries show --request 01987a5c-2f3e-7cc1

{WHERE}"""
CHANGE = f"""\b
Examples:
  amqp-bridge deliveries retry 01987a5c-2f3e-7cc1-9d11-5b1f2f5e0a77
  amqp-bridge deliveries cancel - < ids.txt
With --json and several ids each answer is one line.

{WHERE}"""

Id = Annotated[
    str, Argument(metavar="ID", help="Of the delivery; its beginning is enough.", show_default=False)
]
Ids = Annotated[list[str] | None, Argument(metavar="ID...", help="Of deliveries; - reads them.")]


@app.command("list", cls=Watching, epilog=LIST)
@listed
def list_(
    to: Remote,
    *,
    hook: Hook = None,
    status: Statuses = None,
    type_: Type = None,
    event: Annotated[
        str | None, Option("--event", metavar="ID", help="Of this event; its beginning is enough.")
    ] = None,
    since: Since = None,
    until: Until = None,
    updated_since: UpdatedSince = None,
    updated_until: UpdatedUntil = None,
    order: Annotated[
        Literal["received", "updated"] | None,
        Option("--order", help="By receipt (default), or by when they became what they are."),
    ] = None,
) -> None:
    """List deliveries, the newest first."""
    from bridge.cli.asking.moments import moment
    from bridge.cli.operating.delivery_views import show_deliveries

    query = {
        "hook": hook,
        "status": [each.upper() for each in status or []],
        "type": type_,
        "event_id": event,
        "from": moment(since, "--since"),
        "to": moment(until, "--until"),
        "updated_from": moment(updated_since, "--updated-since"),
        "updated_to": moment(updated_until, "--updated-until"),
        "order": order,
    }
    to.pages("/deliveries", show_deliveries, query, counted=True)


@app.command(cls=Watching, epilog=SHOW)
@watched
def show(
    to: Remote,
    delivery: Id,
    *,
    request: Annotated[
        bool, Option("--request", help="What it would send now, and whether that is what it sent last.")
    ] = False,
) -> None:
    """Show a delivery with all its attempts: what was sent, and what came back."""
    from bridge.cli.asking.client import segment
    from bridge.cli.operating.delivery_views import show_delivery, show_request

    path = f"/deliveries/{segment(delivery)}"
    if request:
        to.show(f"{path}/request", show_request)
    else:
        to.show(path, show_delivery)


@app.command(epilog=CHANGE)
@remote
def retry(to: Remote, deliveries: Ids = None) -> None:
    """Start deliveries anew, at once, whatever became of them."""
    _change(to, deliveries, "retry")


@app.command(epilog=CHANGE)
@remote
def cancel(to: Remote, deliveries: Ids = None) -> None:
    """Give up deliveries that wait: FAILED, cancelled."""
    _change(to, deliveries, "cancel")


def _change(to: Remote, ids: list[str] | None, verb: str) -> None:
    from bridge.cli.asking.client import segment
    from bridge.cli.showing.words import text

    def told(row: dict[str, object]) -> str:
        reason = f" ({text(row['reason'])})" if row.get("reason") else ""
        return f"{text(row['id'])}: {text(row['status'])}{reason}"

    to.each(
        needs_one(ids, "the id of a delivery"),
        lambda each: to.change("POST", f"/deliveries/{segment(each)}/{verb}"),
        lambda paper, row: paper.line(told(row)),
    )
