"""Events that a hook asks for today: what a replay of missing deliveries looks for."""

import asyncio
import time
from collections.abc import Collection, Sequence
from dataclasses import replace

from bridge.admin.look_messages import as_event
from bridge.model.event import Event
from bridge.model.hook import Hook
from bridge.ports.jobs import Lacking, Replay, Replays
from bridge.ports.records import KnownEvent
from bridge.rules.formats.parse import Bounds
from bridge.rules.routing.table import RoutingTable

_AT_ONCE = 200
_MOST_LOOKED_AT = 50_000
"""Events that are looked at for a count: each is read and routed."""
PATIENCE = 8.0
"""Seconds after which a count ends all the same: somebody waits for it."""


class Asking:
    """Whether a hook, as it is now, asks for events of the history."""

    def __init__(self, hook: Hook, bounds: Bounds, table: RoutingTable) -> None:
        """`bounds`: what is parsed of the bodies of events; `table` has all hooks."""
        self.hook = hook
        # What others ask for matters to one that takes the rest, and costs only there.
        others = (each for each in table.hooks if each.id != hook.id and not each.unmatched)
        self._routing = RoutingTable([*others, hook] if hook.unmatched else [hook])
        self._bounds = bounds

    async def wanted(self, found: Sequence[KnownEvent]) -> list[KnownEvent]:
        """Those that it asks for; in a thread, for bodies are parsed and filters asked."""
        return await asyncio.to_thread(self._wanted, found) if found else []

    def _wanted(self, found: Sequence[KnownEvent]) -> list[KnownEvent]:
        return [each for each in found if self._asks(as_event(each, self._bounds))]

    def _asks(self, event: Event) -> bool:
        return any(hook.id == self.hook.id for hook in self._routing.match(event).hooks)


async def count_missing(replays: Replays, replay: Replay, asking: Asking) -> tuple[int, bool]:
    """How many deliveries it would make, and whether that is the exact number."""
    count = looked_at = 0
    hook, ends_at = asking.hook.id, time.monotonic() + PATIENCE
    while looked_at < _MOST_LOOKED_AT and time.monotonic() < ends_at:
        found = await replays.lacking(replay, hook, _AT_ONCE)
        count += len(await asking.wanted(found.events))
        looked_at += len(found.events)
        if found.reached is None:
            return count, True
        replay = replace(replay, left={hook: found.reached})
    return count, False


def without(found: Lacking, place: str, held: Collection[str], received_before: float) -> Lacking:
    """What may be taken of it now: nothing that is under way (`held`, ids), nor anything behind an event that is too
    new, for its delivery may be on its way into the history. `place` is where the replay stands.
    """
    fresh = next((n for n, each in enumerate(found.events) if each.received_at >= received_before), None)
    kept = found.events if fresh is None else found.events[:fresh]
    reached = found.reached
    if fresh is not None:
        reached = kept[-1].id if kept else place
    return Lacking([each for each in kept if each.id not in held], reached)
