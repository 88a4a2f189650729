"""Several pages of a list as one."""

from collections.abc import Mapping
from typing import Any

from bridge.cli.asking.client import Answer, Client
from bridge.cli.showing.paper import Paper
from bridge.rules.bodies.exact import json_text


def page(
    client: Client, path: str, query: Mapping[str, Any], limit: int | None, seconds: float | None = None
) -> Answer:
    """Up to `limit` entries (None: all), within `seconds`, as the API would answer them on one page."""
    whole = client.items(path, query, limit, seconds)
    return Answer(200, {}, json_text(whole).encode(), whole)


def tell_more(paper: Paper, answer: Any) -> None:
    """How much of the list is not shown."""
    shown, more = len(answer["items"]), answer.get("more")
    if answer["next"] is None or "searched" in answer:
        return
    if more is None or (more["count"] == 0 and not more["exact"]):
        told = "there are more"
    else:
        told = f"{more['count']} more" if more["exact"] else f"more than {more['count']} more"
    paper.line(f"{shown} shown, {told}: --all", "dim")
