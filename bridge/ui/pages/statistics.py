"""Statistics: totals and their series, each hook, and what sources measure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bridge.ui import svg
from bridge.ui.page import Page, Refused, View

SPANS = {"24h": "hour", "7d": "hour", "30d": "day", "90d": "day"}
"""The spans with the steps of their series."""
_MOST_SOURCES = 20
_MOST_DIMENSIONS = 6
_PHLIX = ("playback", "top_users", "top_media")


async def _show(view: View) -> Mapping[str, Any]:
    span = view.query.get("span", "")
    span = span if span in SPANS else "24h"
    by = SPANS[span]
    asked = {"from": span, "by": by}
    if hook := view.query.get("hook"):
        asked["hook"] = hook
    answer = await view.ask("stats.show", query=asked)
    if answer.status in {400, 422}:
        return {**_none(span), "detail": answer.document.get("detail", "")}
    if not answer.ok:
        raise Refused(answer)
    stats = answer.document
    return {
        **_none(span),
        "stats": stats,
        "steps": _steps(stats, by),
        "link": lambda step: view.url(
            "deliveries",
            hook=view.query.get("hook"),
            updated_from=step.at.isoformat(),
            updated_to=step.until.isoformat(),
        ),
        "measured": await _measured(view, span),
        "phlix": await _phlix(view, span),
    }


def _none(span: str) -> dict[str, Any]:
    return {
        "span": span,
        "spans": list(SPANS),
        "stats": None,
        "steps": [],
        "measured": [],
        "phlix": {},
        "detail": "",
    }


def _steps(stats: Mapping[str, Any], by: str) -> list[svg.Step]:
    since = stats["from"] or (stats["series"][0]["at"] if stats["series"] else None)
    if since is None:
        return []
    return svg.steps(stats["series"] or [], by, since, stats["to"] or datetime.now(UTC).isoformat())


async def _measured(view: View, span: str) -> list[dict[str, Any]]:
    """Returns the dimensions of each source that has some, with the values that are most frequent."""
    sources = (await view.call("sources.list", query={"limit": "200"}))["items"][:_MOST_SOURCES]
    found = []
    for source in sources:
        name = source["name"]
        answer = await view.ask("stats.dimensions", query={"source": name})
        dimensions = answer.document["items"][:_MOST_DIMENSIONS] if answer.ok else []
        if dimensions:
            tops = {each: await _top(view, name, each, span) for each in dimensions}
            found.append({"source": name, "tops": {each: rows for each, rows in tops.items() if rows}})
    return found


async def _top(view: View, source: str, dimension: str, span: str) -> list[Mapping[str, Any]]:
    asked = {"source": source, "dimension": dimension, "from": span, "limit": "10"}
    answer = await view.ask("stats.top", query=asked)
    return list(answer.document["items"]) if answer.ok else []


async def _phlix(view: View, span: str) -> dict[str, Any]:
    """Returns the three tables of Phlix, as far as there is a source for them."""
    found = {}
    for name in _PHLIX:
        if view.may(f"phlix.{name}"):
            query = {"from": span} if name == "playback" else {"since": span}
            answer = await view.ask(f"phlix.{name}", query=query)
            if answer.ok and answer.document["data"]:
                found[name] = answer.document["data"][:50]
    return found


PAGES = (
    Page(
        path="statistics",
        section="statistics",
        template="statistics/statistics.html",
        show=_show,
        operations=("stats.show", "stats.dimensions", "stats.top", "sources.list"),
        command="stats",
        options={"hook": "--hook", "span": "--since"},
    ),
)
