"""The names of hooks, sources and event types in commands and requests: an unknown name is an error that
suggests the nearest.
"""

from collections.abc import Awaitable, Callable, Sequence

from bridge.core.errors import BridgeError
from bridge.core.event import OWN_EVENTS, Source
from bridge.formats.event_types import beginning_with
from bridge.history.history import SqlHistory
from bridge.hooks.presenter import seen_hook, seen_hooks
from bridge.hooks.service import InForce
from bridge.http.api import SHORTEST, SHOWN_IDS, is_short, listed_ids
from bridge.http.input import Query, is_id
from bridge.settings.shape import nearest


class UnknownName(BridgeError):
    """The name is unknown; the text suggests the nearest."""


class KnownNames:
    """The configured names, and those still in the history."""

    def __init__(self, in_force: InForce, sources: Sequence[Source], known: SqlHistory) -> None:
        self._in_force = in_force
        self._sources = [source.name for source in sources]
        self._known = known

    def of_hook(self, hook_id: str) -> str:
        """Returns the name of the hook with this id, for a deleted hook of the API marked as such; else the id itself."""
        runner = self._in_force.table.get(hook_id)
        if runner is not None:
            return runner.hook.name
        if (name := self._in_force.gone.get(hook_id)) is not None:
            return f"{name} (deleted)"
        stored = self._in_force.stored.get(hook_id)
        return hook_id if stored is None else stored.hook.name

    async def hook(self, which: str) -> str:
        """Returns the id of the hook with this id or name, including deleted hooks in the history; raises UnknownName."""
        found = seen_hook(self._in_force, which)
        if found is not None:
            return found.hook.id
        if await self._known.has_hook(which):
            return which
        raise UnknownName(f"there is no hook {which!r}{self.nearest_hook(which)}")

    def id_of_hook(self, which: str) -> str | None:
        """Returns the id of the present hook with this id or name."""
        found = seen_hook(self._in_force, which)
        return None if found is None else found.hook.id

    def nearest_hook(self, which: str) -> str:
        """Returns a question that suggests the nearest name of a hook; empty if no name is near."""
        return nearest(which, [seen.hook.name for seen in seen_hooks(self._in_force)])

    async def source(self, which: str) -> str:
        """Returns the name if a source has it or had it; raises UnknownName."""
        if which in self._sources or which == OWN_EVENTS or await self._known.has_source(which):
            return which
        raise UnknownName(f"there is no source {which!r}{nearest(which, self._sources)}")

    async def event_type(self, which: str) -> str:
        """Returns the type if an event has it, a hook asks for it, or a catalogue lists it; raises UnknownName."""
        patterns = {pattern for seen in seen_hooks(self._in_force) for pattern in seen.hook.events}
        asked_for = {pattern for pattern in patterns if not _is_pattern(pattern)}
        listed = {known.type for known in beginning_with("")}
        if which in asked_for or which in listed or await self._known.has_event_type(which):
            return which
        types = [*await self._known.event_types(), *sorted(asked_for), *sorted(listed)]
        hint = nearest(which, types)
        if _is_pattern(which):
            hint = hint or "; write the type whole, patterns are for hooks"
        raise UnknownName(f"no event of type {which!r} was ever received{hint}")


def _is_pattern(text: str) -> bool:
    return "*" in text or "#" in text


# The names and ids in the query or the path of a request, which must exist.


class AskedNames:
    """Looks up names in a query; an unknown name is added to the problems of the request."""

    def __init__(self, names: KnownNames, known: SqlHistory) -> None:
        """`known` resolves abbreviated ids."""
        self.of_hook = names.of_hook
        self.nearest_hook = names.nearest_hook
        self.id_of_hook = names.id_of_hook
        self._names = names
        self._known = known

    async def hook(self, query: Query, which: str | None) -> str | None:
        """Returns the id of the hook in the parameter `hook`."""
        return await _find(query, "hook", which, self._names.hook)

    async def source(self, query: Query, which: str | None) -> str | None:
        """Returns the source in the parameter `source`."""
        return await _find(query, "source", which, self._names.source)

    async def no_source(self, name: str) -> str:
        """Returns an error text if no source has this name; else empty text."""
        try:
            await self._names.source(name)
        except UnknownName as error:
            return str(error)
        return ""

    async def event_type(self, query: Query, which: str | None) -> str | None:
        """Returns the event type in the parameter `type`."""
        return await _find(query, "type", which, self._names.event_type)

    async def event(self, query: Query, text: str | None) -> str | None:
        """Returns the id of the event in the parameter `event_id`, which may be abbreviated."""
        if text is None or is_id(text):
            return None if text is None else text.lower()
        if not is_short(text):
            query.wrong("event_id", f"must be a UUID, or its first {SHORTEST} characters or more")
            return None
        found = await self._known.ids_beginning("event", text.lower(), SHOWN_IDS + 1)
        if len(found) == 1:
            return found[0]
        query.unknown(
            "event_id",
            f"several ids begin with {text}: {listed_ids(found)}"
            if found
            else f"no event's id begins with {text}",
        )
        return None


async def _find(
    query: Query, name: str, text: str | None, find: Callable[[str], Awaitable[str]]
) -> str | None:
    try:
        return None if text is None else await find(text)
    except UnknownName as error:
        query.unknown(name, str(error))
        return None
