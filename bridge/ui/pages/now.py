"""Now: what needs attention, the figures of the last hour, its chart, and what failed last."""

from collections.abc import Mapping
from typing import Any

from bridge.ui import svg
from bridge.ui.page import Page, View
from bridge.ui.pages.deliveries import PANEL, panel

_NEWEST = 10


async def _show(view: View) -> Mapping[str, Any]:
    shown = await panel(view)
    if view.partial and shown:
        return {"shown": shown, "template": PANEL}
    overview = await view.call("overview.show")
    stats = await view.ask("stats.show", query={"from": "60m", "by": "minute"})
    failed = await view.ask(
        "deliveries.list", query={"status": "FAILED", "order": "updated", "limit": str(_NEWEST)}
    )
    return {
        "shown": shown,
        "overview": overview,
        "stats": stats.document if stats.ok else None,
        "steps": _steps(stats.document) if stats.ok else [],
        "failed": failed.document["items"] if failed.ok else None,
        "link": lambda step: view.url(
            "deliveries", updated_from=step.at.isoformat(), updated_to=step.until.isoformat()
        ),
    }


def _steps(stats: Mapping[str, Any]) -> list[svg.Step]:
    return svg.steps(stats["series"], "minute", stats["from"], stats["to"])[-60:]


PAGES = (
    Page(
        path="",
        section="now",
        template="now/now.html",
        show=_show,
        operations=("overview.show", "stats.show", "deliveries.list", "deliveries.show"),
        topics=("deliveries", "state"),
        command="overview",
    ),
)
