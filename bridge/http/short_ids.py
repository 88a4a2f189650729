"""Ids that are given by their beginning."""

from collections.abc import Sequence

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bridge.core.records import IdOf
from bridge.history.history import SqlHistory
from bridge.http.problem import Refused

SHORTEST = 8
"""Characters of a short id at the least."""


_WHOLE = 36


_KINDS: dict[str, IdOf] = {
    "events": "event",
    "deliveries": "delivery",
    "quarantine": "quarantine",
    "replays": "replay",
}


SHOWN_IDS = 5


def short_ids(known: SqlHistory) -> Middleware:
    """An id in a path may be short, as lists show it: its beginning, as long as no other begins so."""

    @web.middleware
    async def whole(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.match_info.get("id", "")
        group = request.path.removeprefix("/api/v1/").partition("/")[0]
        if group in _KINDS and is_short(given):
            found = await whole_id(known, _KINDS[group], given)
            if found is not None:
                request.match_info["id"] = found
        return await handler(request)

    return whole


async def whole_id(known: SqlHistory, kind: IdOf, short: str) -> str | None:
    """The id that begins so, None where none does; raises Refused (409) where several do."""
    found = await known.ids_beginning(kind, short.lower(), SHOWN_IDS + 1)
    if len(found) > 1:
        raise Refused(409, f"several ids begin with {short}: {listed_ids(found)}")
    return found[0] if found else None


def is_short(text: str) -> bool:
    """Whether it may be the beginning of an id."""
    return SHORTEST <= len(text) < _WHOLE and all(
        character == "-" if place in (8, 13, 18, 23) else character in "0123456789abcdef"
        for place, character in enumerate(text.lower())
    )


def listed_ids(ids: Sequence[str]) -> str:
    return ", ".join(ids[:SHOWN_IDS]) + (", ..." if len(ids) > SHOWN_IDS else "")
