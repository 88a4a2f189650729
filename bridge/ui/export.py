"""Lists as CSV, streamed page by page of the API."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from aiohttp import web

from bridge.ui.guard import HEADERS
from bridge.ui.page import Export, Refused, View

MOST_ROWS = 100_000
_PAGE = "200"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


async def csv_of(view: View, export: Export, name: str) -> web.StreamResponse:
    """Returns the list as a file, filtered as its page; raises Refused before the first row only."""
    pages = _pages(view, export)
    first = await anext(pages)
    response = web.StreamResponse(headers={**HEADERS, "Cache-Control": "no-store"})
    response.content_type, response.charset = "text/csv", "utf-8"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    await response.prepare(view.request)
    await response.write(_lines([[title for title, _ in export.columns], *_cells(export, first)]))
    async for items in pages:
        await response.write(_lines(_cells(export, items)))
    return response


async def _pages(view: View, export: Export) -> AsyncIterator[Sequence[Any]]:
    asked: dict[str, str | list[str]] = {"limit": _PAGE}
    for name in export.filters:
        if values := [value for value in view.query.getall(name, []) if value]:
            asked[name] = values
    left = MOST_ROWS
    while left > 0:
        answer = await view.ask(export.operation, query=asked)
        if not answer.ok:
            raise Refused(answer)
        items = answer.document["items"][:left]
        left -= len(items)
        yield items
        if not answer.document["next"]:
            return
        asked["cursor"] = answer.document["next"]


def _cells(export: Export, items: Iterable[Mapping[str, Any]]) -> Iterable[list[str]]:
    return ([safe(_value(item, path)) for _, path in export.columns] for item in items)


def _value(item: Any, path: str) -> Any:
    for name in path.split("."):
        item = item.get(name) if isinstance(item, Mapping) else None
    return item


def safe(value: Any) -> str:
    """Returns the text of a cell that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _lines(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode(errors="backslashreplace")
