"""Lists as CSV (RFC 4180), streamed page by page: a row for each item, a column for each member."""

import csv
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from io import StringIO
from types import MappingProxyType, UnionType
from typing import Any, Union, get_args, get_origin

from aiohttp import web
from pydantic import BaseModel

from bridge.bodies.exact import json_text
from bridge.http.documents import REQUEST_ID, PageDocument, plain
from bridge.http.input import MOST

MOST_ROWS = 100_000
"""Maximum rows of a list."""
TYPE = "text/csv"
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""The beginnings of text that spreadsheets take for formulas."""

Page = Callable[[web.Request], Awaitable[Any]]
"""Returns the page document for a request."""
Path = tuple[str, ...]


def item_of(document: Any) -> type[BaseModel] | None:
    """Returns the type of the items if the document is a page of a list."""
    if not (isinstance(document, type) and issubclass(document, PageDocument)):
        return None
    (item,) = get_args(document.model_fields["items"].annotation)
    return item if isinstance(item, type) and issubclass(item, BaseModel) else None


def is_asked(request: web.Request) -> bool:
    """Returns whether the client wants CSV rather than JSON."""
    wanted = request.headers.get("Accept", "").partition(",")[0].partition(";")[0]
    return wanted.strip().lower() == TYPE


async def table(
    request: web.Request,
    name: str,
    item: type[BaseModel],
    page: Page,
    further: Mapping[str, str] = MappingProxyType({}),
) -> web.StreamResponse:
    """Sends the whole list that the request asks for a page of; what is wrong is answered before the first row. `further`
    are further headers.
    """
    pages = _pages(request, page)
    found: dict[str, Any] | None = await anext(pages)
    headers = {
        **further,
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="{name}.csv"',
        "Content-Type": f"{TYPE}; charset=utf-8",
        "X-Request-Id": request[REQUEST_ID],
    }
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    columns = list(_columns(item))
    await response.write(_text([[".".join(path) for path in columns]]))
    rows = 0
    while found is not None and rows < MOST_ROWS:
        some = found["items"][: MOST_ROWS - rows]
        await response.write(_text([_cell(_value(each, path)) for path in columns] for each in some))
        rows += len(some)
        found = await _next(pages)
    await response.write_eof()
    return response


async def _next(pages: AsyncIterator[dict[str, Any]]) -> dict[str, Any] | None:
    async for found in pages:
        return found
    return None


async def _pages(request: web.Request, page: Page) -> AsyncIterator[dict[str, Any]]:
    url = request.rel_url.update_query(limit=str(MOST))
    while True:
        found = plain(await page(request.clone(rel_url=url)))
        yield found
        if found["next"] is None:
            return
        url = url.update_query(cursor=found["next"])


def _columns(model: type[BaseModel], outer: Path = ()) -> Iterator[Path]:
    """Yields the paths of the members; those of a document inside stand beside each other, one level deep."""
    for name, field in model.model_fields.items():
        path = (*outer, field.alias or name)
        inner = None if outer else _document_in(field.annotation)
        if inner is None:
            yield path
        else:
            yield from _columns(inner, path)


def _document_in(kind: Any) -> type[BaseModel] | None:
    if get_origin(kind) in {Union, UnionType}:
        found = [inner for each in get_args(kind) if (inner := _document_in(each)) is not None]
        return found[0] if found else None
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _value(row: Any, path: Path) -> Any:
    for name in path:
        row = row.get(name) if isinstance(row, dict) else None
    return row


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULAS) else value
    return json_text(value)


def _text(rows: Iterable[Sequence[str]]) -> bytes:
    written = StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue().encode("utf-8", "backslashreplace")
