"""Answers of the admin API: JSON that keeps what publishers sent."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel

from bridge.model.event import Message
from bridge.ports.records import Beyond
from bridge.rules.bodies.exact import json_text
from bridge.rules.codings.plain import is_plain

T = TypeVar("T")

LARGE = 8192
"""Bytes from which on a document is made in a thread: others should not wait for it, and a kilobyte may hold 500 values."""

_AT_ONCE = ThreadPoolExecutor(1, thread_name_prefix="large")
"""What is made of a large body takes several times its size for a moment: one at a time."""


def size_of(message: Message) -> int:
    """Bytes to work on; a small body that is compressed may come to many."""
    return len(message.body) if is_plain(message) else LARGE


def answer(document: Any) -> web.Response:
    """A document as it is."""
    return _response(json_text(document))


def page(items: Iterable[BaseModel], following: str | None, more: Beyond | None = None) -> web.Response:
    """One page of a list; `more`: what comes behind it, where that was asked for."""
    whole = {"items": [item.model_dump() for item in items], "next": following}
    return answer(whole if more is None else {**whole, "more": {"count": more.count, "exact": more.exact}})


async def large(make: Callable[[], Any], size: int) -> web.Response:
    """The document that `make` gives, of about so many bytes."""
    return _response(await aside(lambda: json_text(make()), size))


async def aside(work: Callable[[], T], size: int) -> T:
    """What `work` gives; in a thread where it works on many bytes."""
    if size < LARGE:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_AT_ONCE, work)


def _response(text: str) -> web.Response:
    return web.Response(body=text.encode(), content_type="application/json")
