"""Names of hooks, sources and event types as people give them: one that nobody has is an error that offers the nearest."""

from collections.abc import Sequence

from bridge.admin.hooks import InForce
from bridge.admin.look_hooks import seen_hook, seen_hooks
from bridge.model.errors import BridgeError
from bridge.model.source import OWN_EVENTS, Source
from bridge.ports.names import KnownNames
from bridge.rules.catalogue.systems import beginning_with
from bridge.settings.shape import nearest


class UnknownName(BridgeError):
    """Nobody has this name; the text says so, and offers the nearest."""


class Names:
    """What is configured, and what the history still knows of."""

    def __init__(self, in_force: InForce, sources: Sequence[Source], known: KnownNames) -> None:
        self._in_force = in_force
        self._sources = [source.name for source in sources]
        self._known = known

    def of_hook(self, hook_id: str) -> str:
        """The name of the hook with this id; the id itself where there is no such hook any more."""
        runner = self._in_force.table.get(hook_id)
        if runner is not None:
            return runner.hook.name
        stored = self._in_force.stored.get(hook_id)
        return hook_id if stored is None else stored.hook.name

    async def hook(self, which: str) -> str:
        """The id of the hook with this id or name, one that is gone but in the history among them; raises UnknownName."""
        found = seen_hook(self._in_force, which)
        if found is not None:
            return found.hook.id
        if await self._known.has_hook(which):
            return which
        raise UnknownName(f"there is no hook {which!r}{self.nearest_hook(which)}")

    def id_of_hook(self, which: str) -> str | None:
        """The id of the hook that has this id or name now."""
        found = seen_hook(self._in_force, which)
        return None if found is None else found.hook.id

    def nearest_hook(self, which: str) -> str:
        """A question that offers the nearest name of a hook; nothing where none is near."""
        return nearest(which, [seen.hook.name for seen in seen_hooks(self._in_force)])

    async def source(self, which: str) -> str:
        """The name, where a source has it or had it; raises UnknownName."""
        if which in self._sources or which == OWN_EVENTS or await self._known.has_source(which):
            return which
        raise UnknownName(f"there is no source {which!r}{nearest(which, self._sources)}")

    async def event_type(self, which: str) -> str:
        """The type, where an event has it, a hook asks for it, or a catalogue knows it; raises UnknownName."""
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
