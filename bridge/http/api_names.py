"""Names and ids in the query or the path of a request, which must be somebody's."""

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bridge.admin.look_names import Names, UnknownName
from bridge.http.api_parameters import Parameters, is_id
from bridge.http.problem import Refused
from bridge.ports.names import IdOf, KnownNames

SHORTEST = 8
"""Characters of a short id at the least."""
_WHOLE = 36
_KINDS: dict[str, IdOf] = {
    "events": "event",
    "deliveries": "delivery",
    "quarantine": "quarantine",
    "replays": "replay",
}
_SHOWN = 5


class AskedNames:
    """Reads names out of parameters; one that nobody has is kept there as what is wrong with the request."""

    def __init__(self, names: Names, known: KnownNames) -> None:
        """`known` knows the ids that short ones stand for."""
        self.of_hook = names.of_hook
        self.nearest_hook = names.nearest_hook
        self.id_of_hook = names.id_of_hook
        self._names = names
        self._known = known

    async def hook(self, given: Parameters, name: str = "hook") -> str | None:
        """The id of the hook that is named."""
        return await _read(given, name, given.name(name), self._names.hook)

    async def source(self, given: Parameters, name: str = "source") -> str | None:
        """The source that is named."""
        return await _read(given, name, given.name(name), self._names.source)

    async def no_source(self, name: str) -> str:
        """Why no source is called so; empty: one is."""
        try:
            await self._names.source(name)
        except UnknownName as error:
            return str(error)
        return ""

    async def event_type(self, given: Parameters, name: str = "type") -> str | None:
        """The event type that is named."""
        return await _read(given, name, given.event_type(name), self._names.event_type)

    async def event(self, given: Parameters, name: str = "event_id") -> str | None:
        """The id of the event that is named by it, or by its beginning."""
        text = given.text(name)
        if text is None or is_id(text):
            return None if text is None else text.lower()
        if not is_short(text):
            given.wrong(name, f"must be a UUID, or its first {SHORTEST} characters or more")
            return None
        found = await self._known.ids_beginning("event", text.lower(), _SHOWN + 1)
        if len(found) == 1:
            return found[0]
        given.unknown(
            name,
            f"several ids begin with {text}: {_some(found)}"
            if found
            else f"no event's id begins with {text}",
        )
        return None


async def _read(
    given: Parameters, name: str, text: str | None, find: Callable[[str], Awaitable[str]]
) -> str | None:
    try:
        return None if text is None else await find(text)
    except UnknownName as error:
        given.unknown(name, str(error))
        return None


def short_ids(known: KnownNames) -> Middleware:
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


async def whole_id(known: KnownNames, kind: IdOf, short: str) -> str | None:
    """The id that begins so, None where none does; raises Refused (409) where several do."""
    found = await known.ids_beginning(kind, short.lower(), _SHOWN + 1)
    if len(found) > 1:
        raise Refused(409, f"several ids begin with {short}: {_some(found)}")
    return found[0] if found else None


def is_short(text: str) -> bool:
    """Whether it may be the beginning of an id."""
    return SHORTEST <= len(text) < _WHOLE and all(
        character == "-" if place in (8, 13, 18, 23) else character in "0123456789abcdef"
        for place, character in enumerate(text.lower())
    )


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_SHOWN]) + (", ..." if len(ids) > _SHOWN else "")
