"""Statistics as people see them."""

from collections.abc import Sequence
from typing import Any

from bridge.cli.showing.columns import Column, member
from bridge.cli.showing.paper import Paper
from bridge.cli.showing.words import milliseconds, moment, percent, text

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


def show_totals(paper: Paper, totals: Any) -> None:
    """The figures of one hook, or of all."""
    paper.facts((_title(name), write(totals.get(name))) for name, write in _TOTALS)


def show_stats(paper: Paper, answer: Any) -> None:
    """Totals, each hook's, and a time series where one was asked for."""
    show_totals(paper, {**answer.get("totals", {}), "from": answer.get("from"), "to": answer.get("to")})
    paper.line()
    paper.table(HOOKS, answer.get("hooks", []), "no hooks")
    if "series" in answer and answer["series"] is not None:
        paper.line()
        paper.table(SERIES, answer["series"], "nothing in that time")


def show_top(paper: Paper, answer: Any) -> None:
    """The values that come most."""
    rows = answer["items"]
    paper.table((member("key", least=12), member("events", right=True), *_sums(rows)), rows, "no events")


def show_measures(paper: Paper, answer: Any) -> None:
    """Sums by span."""
    rows = answer["items"]
    at = Column("at", lambda row: moment(row["at"]))
    paper.table((at, member("events", right=True), *_sums(rows)), rows, "no events")


def show_dimensions(paper: Paper, answer: Any) -> None:
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
