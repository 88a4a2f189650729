"""States of a bridge that pages have to survive."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from bridge.ui.app import MOST_AT_ONCE
from tests.support.waiting import until
from tests.ui_check.subject import Person, Subject

_HELD = "POST /ui/login HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nContent-Type: {kind}\r\nContent-Length: 100\r\n\r\n"


@asynccontextmanager
async def busy(subject: Subject) -> AsyncIterator[None]:
    """So many forms whose bodies do not come that pages are refused with 503."""
    place = urlsplit(subject.url)
    held = _HELD.format(host=place.netloc, origin=subject.url, kind="application/x-www-form-urlencoded")
    opened = []
    try:
        for _ in range(MOST_AT_ONCE):
            _, writer = await asyncio.open_connection(place.hostname, place.port or 80)
            writer.write(held.encode())
            opened.append(writer)

        async def refused() -> bool:
            return (await Person(subject.http, subject.url).get("login")).status == 503

        await until(refused, 5, what="forms that wait do not keep pages busy")
        yield
    finally:
        for writer in opened:
            writer.close()
