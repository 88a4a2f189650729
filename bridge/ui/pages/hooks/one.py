"""A hook: its health, and its deliveries."""

from collections.abc import Mapping
from typing import Any

from bridge.ui import svg
from bridge.ui.page import Page, View
from bridge.ui.pages.deliveries import PANEL, panel
from bridge.ui.pages.hooks.ladder import ladder_of
from bridge.ui.pages.hooks.state import seen

SPANS = {"60m": "minute", "24h": "hour", "30d": "day"}
"""The step of the chart by the span that it shows."""
_FILTERS = ("status", "type", "from", "updated_from", "order")


async def health(view: View) -> Mapping[str, Any]:
    """Returns what the tab Health shows."""
    shown = await seen(view, "health")
    span = view.query.get("span", "24h")
    span = span if span in SPANS else "24h"
    which = shown["hook"]["id"]
    answer = await view.ask("stats.show", query={"hook": which, "from": span, "by": SPANS[span]})
    stats = answer.document if answer.ok else None
    return {
        **shown,
        "span": span,
        "by": SPANS[span],
        "totals": stats and stats["totals"],
        "steps": svg.steps(stats["series"], SPANS[span], stats["from"], stats["to"]) if stats else [],
        "link": lambda step: view.url(
            "deliveries", hook=which, updated_from=step.at.isoformat(), updated_to=step.until.isoformat()
        ),
        "ladder": ladder_of(shown["hook"]["retry"]),
    }


async def _deliveries(view: View) -> Mapping[str, Any]:
    delivery = await panel(view)
    if view.partial and delivery:
        return {"shown": delivery, "template": PANEL}
    shown = await seen(view, "deliveries")
    found = await view.list("deliveries.list", _FILTERS, hook=shown["hook"]["id"])
    return {**shown, "found": found, "filters": _FILTERS, "shown": delivery}


PAGES = (
    Page(
        path="hooks/{id}",
        section="hooks",
        template="hooks/health.html",
        show=health,
        operations=("hooks.show", "stats.show"),
        topics=("hooks", "deliveries"),
        command="hooks show {id}",
    ),
    Page(
        path="hooks/{id}/deliveries",
        section="hooks",
        template="hooks/deliveries.html",
        show=_deliveries,
        operations=("hooks.show", "deliveries.list", "deliveries.show"),
        topics=("deliveries",),
        command="deliveries list --hook {id}",
        options={
            "status": "--status",
            "type": "--type",
            "from": "--since",
            "updated_from": "--updated-since",
        },
    ),
)
