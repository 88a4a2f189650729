"""One page of a list, as the parameters of a request ask for it."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from bridge.http.api_parameters import Parameters, invalid
from bridge.ports.records import Beyond, Page

T = TypeVar("T")
P = TypeVar("P")
"""A page of any kind."""

PAGED = ("limit", "cursor")
"""The parameters of every list."""
COUNTED = (*PAGED, "count")
"""Those of a list that tells how much there is behind a page."""


async def read_page(given: Parameters, read: Callable[..., Awaitable[P]]) -> P:
    """What `read` gives for `after` and `limit`; raises Refused for parameters that are wrong."""
    limit, cursor = given.limit(), given.cursor()
    given.check()
    try:
        return await read(after=cursor, limit=limit)
    except ValueError as error:
        raise invalid([("cursor", "is none of those that this list gave as `next`")]) from error


async def counted_page(
    given: Parameters, read: Callable[..., Awaitable[Page[T]]], beyond: Callable[..., Awaitable[Beyond]]
) -> tuple[Page[T], Beyond | None]:
    """The page, and where that is asked for what `beyond` counts behind it."""
    counts = given.flag("count")
    found = await read_page(given, read)
    if not counts:
        return found, None
    return found, Beyond(0, exact=True) if found.next is None else await beyond(after=found.next)
