"""One page of a list, as the parameters of a request ask for it."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from bridge.http.api_parameters import Parameters, invalid
from bridge.ports.records import Page

T = TypeVar("T")

PAGED = ("limit", "cursor")
"""The parameters of every list."""


async def read_page(given: Parameters, read: Callable[..., Awaitable[Page[T]]]) -> Page[T]:
    """What `read` gives for `after` and `limit`; raises Refused (400) for parameters that are wrong."""
    limit, cursor = given.limit(), given.cursor()
    given.check()
    try:
        return await read(after=cursor, limit=limit)
    except ValueError as error:
        raise invalid([("cursor", "is none of those that this list gave as `next`")]) from error
