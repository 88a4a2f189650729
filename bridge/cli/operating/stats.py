"""`amqp-bridge stats`."""

from typing import Annotated, Literal

from typer import Option

from bridge.cli.asking.command import WHERE, Commands, Watching, WatchingGroup, alone, remote, watched
from bridge.cli.asking.names import source_names
from bridge.cli.asking.remote import Remote
from bridge.cli.operating.filters import Hook, Since, Type, Until

EXAMPLES = f"""\b
Examples:
  amqp-bridge stats --since 24h
  amqp-bridge stats --hook crm --since 7d --by day
  amqp-bridge stats --watch 5
  amqp-bridge stats top --source phlix --dimension user --order duration --since 30d
  amqp-bridge stats measures --source phlix --by day
  amqp-bridge stats dimensions --source phlix

{WHERE}"""

app = Commands(
    name="stats",
    cls=WatchingGroup,
    help="Totals and time series; also: top, measures, dimensions.",
    epilog=EXAMPLES,
    invoke_without_command=True,
)

By = Annotated[Literal["minute", "hour", "day"] | None, Option("--by", help="With a time series.")]
MeasuredBy = Annotated[Literal["hour", "day"], Option("--by", help="How long each span is.")]
SourceOf = Annotated[
    str, Option("--source", "-s", metavar="NAME", help="Of this source.", autocompletion=source_names)
]


@watched
def stats(to: Remote, *, hook: Hook = None, by: By = None, since: Since = None, until: Until = None) -> None:
    """Show totals of deliveries, overall and by hook."""
    from bridge.cli.asking.moments import moment
    from bridge.cli.operating.stats_views import show_stats

    span = {"from": moment(since, "--since"), "to": moment(until, "--until")}
    to.show("/stats", show_stats, {"hook": hook, "by": by, **span})


app.callback()(alone(stats))


@app.command(cls=Watching, epilog=EXAMPLES)
@watched
def top(
    to: Remote,
    *,
    source: SourceOf,
    dimension: Annotated[str, Option("--dimension", "-d", metavar="NAME", help="Whose values are compared.")],
    order: Annotated[
        str, Option("--order", metavar="NAME", help="events, or a dimension of numbers whose sum decides.")
    ] = "events",
    limit: Annotated[int, Option("--limit", "-n", min=1, metavar="N", help="At most so many.")] = 10,
    type_: Type = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Show which values of a dimension come most."""
    from bridge.cli.asking.moments import moment
    from bridge.cli.operating.stats_views import show_top

    query = {"source": source, "dimension": dimension, "order": order, "limit": limit, "type": type_}
    span = {"from": moment(since, "--since"), "to": moment(until, "--until")}
    to.show("/stats/top", show_top, {**query, **span})


@app.command(cls=Watching, epilog=EXAMPLES)
@watched
def measures(
    to: Remote,
    *,
    source: SourceOf,
    by: MeasuredBy = "day",
    type_: Type = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Show sums over a source's dimensions of numbers, by hour or day."""
    from bridge.cli.asking.moments import moment
    from bridge.cli.operating.stats_views import show_measures

    span = {"from": moment(since, "--since"), "to": moment(until, "--until")}
    to.show("/stats/measures", show_measures, {"source": source, "by": by, "type": type_, **span})


@app.command(epilog=EXAMPLES)
@remote
def dimensions(to: Remote, *, source: SourceOf) -> None:
    """Show which dimensions a source has."""
    from bridge.cli.operating.stats_views import show_dimensions

    to.show("/stats/dimensions", show_dimensions, {"source": source})
