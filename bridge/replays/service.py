"""The use cases of replays: create, count, list, cancel."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace

from bridge.core.delivery import Status
from bridge.core.errors import BridgeError
from bridge.core.event import Event
from bridge.core.hook import Hook
from bridge.core.ports import Control
from bridge.core.records import KnownEvent, Lacking, Replay, ReplayFilter, ReplayStatus
from bridge.events.documents import as_event
from bridge.formats.parse import Bounds
from bridge.hooks.names import KnownNames, UnknownName
from bridge.http.input import is_id
from bridge.measuring.spans import moment
from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.hook_worker import HookWorker
from bridge.replays.documents import AskedReplay, AskedReplayFilter
from bridge.replays.store import SqlReplays
from bridge.routing.table import RoutingTable

# The events that a hook asks for at present, which a replay of missing deliveries looks for.


_AT_ONCE = 200
_MOST_LOOKED_AT = 50_000
"""Maximum events that are checked for a count: each is read and routed."""
PATIENCE = 8.0
"""Seconds after which a count ends in any case, since a client waits for it."""


class ReplayMatcher:
    """Checks whether the present hook asks for events of the history."""

    def __init__(self, hook: Hook, bounds: Bounds, table: RoutingTable) -> None:
        """`bounds` limit the parsing of event bodies; `table` has all hooks."""
        self.hook = hook
        # The other hooks matter only for a hook that gets unmatched events, and cost time only there.
        others = (each for each in table.hooks if each.id != hook.id and not each.unmatched)
        self._routing = RoutingTable([*others, hook] if hook.unmatched else [hook])
        self._bounds = bounds

    async def wanted(self, found: Sequence[KnownEvent]) -> list[KnownEvent]:
        """Returns the events that the hook asks for; call it in a thread, since bodies are parsed and filters evaluated."""
        return await asyncio.to_thread(self._wanted, found) if found else []

    def _wanted(self, found: Sequence[KnownEvent]) -> list[KnownEvent]:
        return [each for each in found if self._asks(as_event(each, self._bounds))]

    def _asks(self, event: Event) -> bool:
        return any(hook.id == self.hook.id for hook in self._routing.match(event).hooks)


async def count_missing(replays: SqlReplays, replay: Replay, asking: ReplayMatcher) -> tuple[int, bool]:
    """Returns how many deliveries the replay would make, and whether that number is exact."""
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
    """Returns the part that may be taken now: no event that is in flight (`held`, ids), and none after an event that is too
    new, whose delivery may not be committed yet. `place` is the position of the replay.
    """
    fresh = next((n for n, each in enumerate(found.events) if each.received_at >= received_before), None)
    kept = found.events if fresh is None else found.events[:fresh]
    reached = found.reached
    if fresh is not None:
        reached = kept[-1].id if kept else place
    return Lacking([each for each in kept if each.id not in held], reached)


ENDED = frozenset({ReplayStatus.DONE, ReplayStatus.CANCELLED, ReplayStatus.FAILED})


class NotPossible(BridgeError):
    """The request is invalid; `name` is the path in the body."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name


class NotAsThingsAre(BridgeError):
    """The operation is not possible in the present state; the text says why."""


class ReplayService:
    """Creates and cancels replays on behalf of a person; bridge.replays.runner runs them."""

    def __init__(
        self,
        replays: SqlReplays,
        table: HookTable,
        names: KnownNames,
        control: Control,
        *,
        new_id: Callable[[], str],
        bounds: Bounds,
        keeps_successes: bool,
    ) -> None:
        """`bounds` limit the parsing of event bodies. `keeps_successes`: whether every delivery is in the history."""
        self.store = replays
        self._table = table
        self._names = names
        self._control = control
        self._new_id = new_id
        self._bounds = bounds
        self._keeps_successes = keeps_successes

    async def plan(self, asked: AskedReplay, by: str) -> Replay:
        """Returns the replay as it would be created now, with its number of deliveries.

        Raises NotPossible, NotAsThingsAre, HistoryUnavailable.
        """
        which = await self._filter(asked.filter)
        now = time.time()
        planned = Replay(
            id=self._new_id(), which=which, rate=asked.rate, status=ReplayStatus.PENDING, total=0, exact=True,
            done=0, left_out=0, left={}, created_at=now, created_by=by, updated_at=now,
        )  # fmt: skip
        return await (self._plan_missing(planned) if which.missing else self._plan_again(planned))

    async def start(self, asked: AskedReplay, by: str) -> Replay:
        """Creates the replay, which one of the replicas starts at once. Raises as `plan`."""
        replay = await self.plan(asked, by)
        await self.store.add_replay(replay)
        await self._control.tell("jobs")
        return replay

    async def cancel(self, replay_id: str) -> Replay | None:
        """Cancels the replay, which takes no further deliveries; those taken already continue. Returns None if it does not
        exist.

        Raises NotAsThingsAre if it has ended in another way, HistoryUnavailable.
        """
        ended = await self.store.end_replay(replay_id, ReplayStatus.CANCELLED, time.time())
        found = await self.store.replay(replay_id)
        if found is not None and not ended and found.status is not ReplayStatus.CANCELLED:
            raise NotAsThingsAre(f"it has ended: {found.status}")
        if ended:
            await self._control.tell("jobs")
        return found

    # ---- validation -----------------------------------------------------------------------------------

    async def _filter(self, asked: AskedReplayFilter) -> ReplayFilter:
        since, until = self._moment("from", asked.from_), self._moment("to", asked.to)
        if since is not None and until is not None and since >= until:
            raise NotPossible("filter.to", "must be after `from`")
        if asked.missing and asked.status is not None:
            raise NotPossible("filter.status", "deliveries that are missing have no status; leave it out")
        if asked.missing and asked.hook is None:
            raise NotPossible("filter.hook", "is needed with `missing`: whose deliveries are missing?")
        hook = await self._named("filter.hook", asked.hook, self._names.hook)
        await self._named("filter.type", asked.type, self._names.event_type)
        await self._named("filter.source", asked.source, self._names.source)
        if asked.missing and (asked.ids, asked.outcome, asked.status_code) != (None, None, None):
            raise NotPossible("filter.missing", "deliveries that are missing have neither ids nor attempts")
        usual = [Status.FAILED] if asked.ids is None else list(Status)
        return ReplayFilter(
            hook,
            frozenset() if asked.missing else frozenset(asked.status or usual),
            *(asked.type, asked.source, since, until, asked.missing),
            ids=_ids(asked.ids),
            outcome=None if asked.outcome is None else str(asked.outcome),
            status_code=asked.status_code,
        )

    async def _named(self, name: str, which: str | None, find: Callable[[str], Awaitable[str]]) -> str | None:
        try:
            return None if which is None else await find(which)
        except UnknownName as error:
            raise NotPossible(name, str(error)) from None

    def _moment(self, name: str, text: str | None) -> float | None:
        try:
            return None if text is None else moment(text, time.time(), end=name == "to")
        except ValueError as error:
            raise NotPossible(f"filter.{name}", str(error)) from None

    # ---- counting -------------------------------------------------------------------------------------

    async def _plan_again(self, planned: Replay) -> Replay:
        counted = await self.store.count(planned.which)
        hook = planned.which.hook
        if hook is not None and self._table.get(hook) is None and not counted.by_hook:
            raise NotPossible("filter.hook", "there is no such hook, and nothing in the history for it")
        taken = {hook: number for hook, number in counted.by_hook.items() if takes_part(self._table, hook)}
        return replace(
            planned,
            total=sum(taken.values()),
            left_out=sum(counted.by_hook.values()) - sum(taken.values()),
            exact=counted.exact,
            left=dict.fromkeys(taken, ""),
        )

    async def _plan_missing(self, planned: Replay) -> Replay:
        if not self._keeps_successes:
            raise NotAsThingsAre(
                "storage.keep is `failures`: what was delivered is not in the history, and would count as missing"
            )
        hook = planned.which.hook or ""
        runner = self._table.get(hook)
        if runner is None or self._table.routing.get(hook) is None:
            raise NotPossible("filter.hook", "there is no such hook")
        if not runner.hook.enabled:
            raise NotAsThingsAre(f"hook {hook!r} is disabled; enable it first")
        planned = replace(planned, left={hook: ""})
        asking = ReplayMatcher(runner.hook, self._bounds, self._table.routing)
        total, exact = await count_missing(self.store, planned, asking)
        return replace(planned, total=total, exact=exact)


def _ids(given: Sequence[str] | None) -> tuple[str, ...]:
    """Returns the ids in the form of the database. Raises NotPossible for a text that is no id."""
    for number, each in enumerate(given or ()):
        if not is_id(each):
            raise NotPossible(f"filter.ids[{number}]", "must be a UUID")
    return tuple(dict.fromkeys(each.lower() for each in given or ()))


def takes_part(table: HookTable, hook: str) -> HookWorker | None:
    """Returns the worker of a hook whose deliveries may be retried: it exists, is enabled, and is not being deleted.

    If it is paused, the deliveries wait in its lane.
    """
    runner = table.get(hook)
    if runner is None or table.routing.get(hook) is None or not runner.hook.enabled:
        return None
    return runner
