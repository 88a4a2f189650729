"""`amqp-bridge stats`."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from typer import Option

from bridge.terminal.options import (
    WHERE,
    Commands,
    Hook,
    Since,
    Type,
    Until,
    Watching,
    WatchingGroup,
    alone,
    remote,
    source_names,
    watched,
)
from bridge.terminal.paper import Column, TablePrinter, member, milliseconds, moment, percent, text
from bridge.terminal.remote import Remote

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
    from bridge.terminal.options import moment

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
    from bridge.terminal.options import moment

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
    from bridge.terminal.options import moment

    span = {"from": moment(since, "--since"), "to": moment(until, "--until")}
    to.show("/stats/measures", show_measures, {"source": source, "by": by, "type": type_, **span})


@app.command(epilog=EXAMPLES)
@remote
def dimensions(to: Remote, *, source: SourceOf) -> None:
    """Show which dimensions a source has."""
    to.show("/stats/dimensions", show_dimensions, {"source": source})


# Statistics as people see them.


HOOKS = (
    member("hook_name", "hook", least=12),
    member("total_deliveries", "total", right=True),
    member("succeeded", right=True, drop=2),
    member("failed", right=True),
    member("skipped", right=True, drop=7),
    member("attempts", "tries", right=True, drop=5),
    member("attempts_failed", "failed tries", right=True, drop=3),
    Column("success", lambda row: percent(row.get("success_rate")), right=True, drop=1),
    Column("average", lambda row: milliseconds(row.get("average_ms")), right=True, drop=4),
    Column("p95", lambda row: milliseconds(row.get("p95_ms")), right=True, drop=3),
    Column(
        "failing since", lambda row: moment(row.get("failing_since")) if row.get("failing") else "", drop=4
    ),
    Column("last success", lambda row: moment(row.get("last_success_at")), drop=6),
)
SERIES = (
    Column("at", lambda row: moment(row["at"])),
    member("succeeded", right=True),
    member("failed", right=True),
    member("skipped", right=True, drop=2),
    member("attempts", right=True, drop=3),
    Column("average", lambda row: milliseconds(row.get("average_ms")), right=True, drop=1),
)
_TOTALS = (
    ("hook_name", text),
    ("from", moment),
    ("to", moment),
    ("total_deliveries", text),
    ("succeeded", text),
    ("failed", text),
    ("skipped", text),
    ("success_rate", percent),
    ("average_ms", milliseconds),
    ("p50_ms", milliseconds),
    ("p95_ms", milliseconds),
    ("attempts", text),
    ("attempts_failed", text),
    ("consecutive_failures", text),
    ("last_success_at", moment),
    ("last_attempt_at", moment),
    ("failing_since", moment),
)


def show_totals(paper: TablePrinter, totals: Any) -> None:
    """The figures of one hook, or of all."""
    paper.facts((_title(name), write(totals.get(name))) for name, write in _TOTALS)


def show_stats(paper: TablePrinter, answer: Any) -> None:
    """Totals, each hook's, and a time series where one was asked for."""
    show_totals(paper, {**answer.get("totals", {}), "from": answer.get("from"), "to": answer.get("to")})
    paper.line()
    paper.table(HOOKS, answer.get("hooks", []), "no hooks")
    if "series" in answer and answer["series"] is not None:
        paper.line()
        paper.table(SERIES, answer["series"], "nothing in that time")


def show_top(paper: TablePrinter, answer: Any) -> None:
    """The values that come most."""
    rows = answer["items"]
    paper.table((member("key", least=12), member("events", right=True), *_sums(rows)), rows, "no events")


def show_measures(paper: TablePrinter, answer: Any) -> None:
    """Sums by span."""
    rows = answer["items"]
    at = Column("at", lambda row: moment(row["at"]))
    paper.table((at, member("events", right=True), *_sums(rows)), rows, "no events")


def show_dimensions(paper: TablePrinter, answer: Any) -> None:
    """Names of dimensions."""
    rows = answer["items"] if isinstance(answer, dict) and "items" in answer else answer
    names = [text(row.get("name")) if isinstance(row, dict) else text(row) for row in rows]
    for name in names or ["no dimensions"]:
        paper.line(name)


def _sums(rows: Sequence[Any]) -> list[Column]:
    names = dict.fromkeys(name for row in rows for name in row.get("sums", {}))
    return [_sum(name, number) for number, name in enumerate(names, 1)]


def _sum(name: str, number: int) -> Column:
    return Column(text(name), lambda row: text(row.get("sums", {}).get(name)), right=True, drop=number)


def _title(name: str) -> str:
    return name.removesuffix("_ms").removesuffix("_at").removesuffix("_name").replace("_", " ")
