"""`amqp-bridge stats`."""

from collections.abc import Sequence
from typing import Any, Literal

from bridge.terminal.groups import option
from bridge.terminal.options import (
    HOOK,
    SPAN,
    TYPE,
    WATCHED,
    RemoteCommands,
    examples,
    queried,
    remote,
    source_names,
)
from bridge.terminal.paper import Column, TablePrinter, column, described, milliseconds, moment, percent, text
from bridge.terminal.remote import Remote

EXAMPLES = examples("""
amqp-bridge stats --since 24h
amqp-bridge stats --hook crm --since 7d --by day
amqp-bridge stats --watch 5
amqp-bridge stats top --source phlix --dimension user --order duration --since 30d
amqp-bridge stats measures --source phlix --by day
amqp-bridge stats dimensions --source phlix
amqp-bridge stats failures --since 24h
""")
SOURCE = option("--source -s", "NAME", "Name of the source.", default=..., autocompletion=source_names)

TOTALS = (
    column("hook_name", "hook"),
    column("from", show=moment),
    column("to", show=moment),
    column("total_deliveries"),
    column("succeeded"),
    column("failed"),
    column("skipped"),
    column("success_rate", show=percent),
    column("average_ms", "average", milliseconds),
    column("p50_ms", "p50", milliseconds),
    column("p95_ms", "p95", milliseconds),
    column("attempts"),
    column("attempts_failed"),
    column("consecutive_failures"),
    column("last_success_at", "last success", moment),
    column("last_attempt_at", "last attempt", moment),
    column("failing_since", show=moment),
)
HOOKS = (
    column("hook_name", "hook", least=12),
    column("total_deliveries", "total", right=True),
    column("succeeded", right=True, drop=2),
    column("failed", right=True),
    column("skipped", right=True, drop=7),
    column("attempts", "tries", right=True, drop=5),
    column("attempts_failed", "failed tries", right=True, drop=3),
    column("success_rate", "success", percent, right=True, drop=1),
    column("average_ms", "average", milliseconds, right=True, drop=4),
    column("p95_ms", "p95", milliseconds, right=True, drop=3),
    Column("failing since", lambda row: moment(row.get("failing_since")) if row.get("failing") else "", drop=4),
    column("last_success_at", "last success", moment, drop=6),
)  # fmt: skip
SERIES = (
    column("at", show=moment),
    column("succeeded", right=True),
    column("failed", right=True),
    column("skipped", right=True, drop=2),
    column("attempts", right=True, drop=3),
    column("average_ms", "average", milliseconds, right=True, drop=1),
)
FAILURES = (
    column("hook_name", "hook", least=12),
    column("outcome"),
    column("status_code", "code", right=True),
    column("attempts", right=True),
    column("deliveries", "failed", right=True),
    column("since", show=moment, drop=1),
    column("until", show=moment, drop=2),
)

app = RemoteCommands("stats", epilog=EXAMPLES)


@app.alone
@remote(
    own=(HOOK, option("--by", None, "Length of the steps.", Literal["minute", "hour", "day"]), *SPAN),
    common=WATCHED,
)
def stats(to: Remote, **query: Any) -> None:
    """Show totals of deliveries, overall and by hook."""
    to.show("/stats", _show_stats, queried(query))


@app.remote(
    epilog=EXAMPLES,
    own=(
        SOURCE,
        option("--dimension -d", "NAME", "Dimension whose values are compared.", default=...),
        option("--order", "NAME", "Order by events, or a dimension's sum.", default="events"),
        option("--limit -n", "N", "Maximum number of items.", int, default=10, min=1),
        TYPE,
        *SPAN,
    ),
    common=WATCHED,
)
def top(to: Remote, **query: Any) -> None:
    """Show the top values of a dimension."""
    to.show(
        "/stats/top", lambda paper, answer: _show_sums(paper, answer, column("key", least=12)), queried(query)
    )


@app.remote(
    epilog=EXAMPLES,
    own=(
        SOURCE,
        option("--by", None, "Length of each step.", Literal["hour", "day"], default="day"),
        TYPE,
        *SPAN,
    ),
    common=WATCHED,
)
def measures(to: Remote, **query: Any) -> None:
    """Show sums of a source's numeric dimensions, by hour or day."""
    at = column("at", show=moment)
    to.show("/stats/measures", lambda paper, answer: _show_sums(paper, answer, at), queried(query))


@app.remote(epilog=EXAMPLES, own=(SOURCE,))
def dimensions(to: Remote, **query: Any) -> None:
    """Show the dimensions of a source."""
    to.show("/stats/dimensions", _show_dimensions, query)


@app.remote(
    epilog=EXAMPLES,
    own=(
        HOOK,
        option("--limit -n", "N", "Maximum number of items.", int, default=50, min=1),
        *SPAN,
    ),
    common=WATCHED,
)
def failures(to: Remote, **query: Any) -> None:
    """Show failed attempts by hook, outcome and code."""
    to.show(
        "/failures",
        lambda paper, answer: paper.table(FAILURES, answer["items"], "nothing failed"),
        queried(query),
    )


def show_totals(paper: TablePrinter, totals: Any) -> None:
    """Prints the totals of one hook, or of all."""
    paper.facts(described(totals, TOTALS))


def _show_stats(paper: TablePrinter, answer: Any) -> None:
    show_totals(paper, {**answer.get("totals", {}), "from": answer.get("from"), "to": answer.get("to")})
    paper.line()
    paper.table(HOOKS, answer.get("hooks", []), "no hooks")
    if answer.get("series") is not None:
        paper.line()
        paper.table(SERIES, answer["series"], "nothing in that time")


def _show_sums(paper: TablePrinter, answer: Any, first: Column) -> None:
    rows = answer["items"]
    paper.table((first, column("events", right=True), *_sums(rows)), rows, "no events")


def _sums(rows: Sequence[Any]) -> list[Column]:
    names = dict.fromkeys(name for row in rows for name in row.get("sums", {}))
    return [_sum(name, number) for number, name in enumerate(names, 1)]


def _sum(name: str, number: int) -> Column:
    return Column(text(name), lambda row: text(row.get("sums", {}).get(name)), right=True, drop=number)


def _show_dimensions(paper: TablePrinter, answer: Any) -> None:
    rows = answer["items"] if isinstance(answer, dict) and "items" in answer else answer
    names = [text(row.get("name")) if isinstance(row, dict) else text(row) for row in rows]
    for name in names or ["no dimensions"]:
        paper.line(name)
