"""Several pages of a list as one."""

from collections.abc import Mapping
from typing import Any

from bridge.cli.asking.client import Answer, Client
from bridge.rules.bodies.exact import json_text


def page(client: Client, path: str, query: Mapping[str, Any], limit: int | None) -> Answer:
    """Up to `limit` entries (None: all) as the API would answer them on one page."""
    items, cursor = client.items(path, query, limit)
    whole = {"items": items, "next": cursor}
    return Answer(200, {}, json_text(whole).encode(), whole)
