"""Many deliveries started anew as one job: made, counted, looked at, cancelled."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from bridge.admin.look_names import Names, UnknownName
from bridge.admin.replay_events import Asking, count_missing
from bridge.model.delivery import Status
from bridge.model.documents.replays import AskedReplay, AskedReplayFilter
from bridge.model.errors import BridgeError
from bridge.model.replay import ReplayStatus
from bridge.pipeline.hook import HookRunner
from bridge.pipeline.table import HookTable
from bridge.ports.control import Control
from bridge.ports.jobs import Replay, ReplayFilter, Replays
from bridge.ports.records import Page
from bridge.rules.formats.parse import Bounds
from bridge.rules.statistics.moments import moment

ENDED = frozenset({ReplayStatus.DONE, ReplayStatus.CANCELLED, ReplayStatus.FAILED})


class NotPossible(BridgeError):
    """What was asked for cannot be; `name` is its path in the body."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name


class NotAsThingsAre(BridgeError):
    """It cannot be done now; the text says why."""


class Replaying:
    """What a person does with replays; bridge.app.replays runs them."""

    def __init__(
        self,
        replays: Replays,
        table: HookTable,
        names: Names,
        control: Control,
        *,
        new_id: Callable[[], str],
        bounds: Bounds,
        keeps_successes: bool,
    ) -> None:
        """`bounds`: what is parsed of the bodies of events. `keeps_successes`:
        whether every delivery is in the history.
        """
        self._replays = replays
        self._table = table
        self._names = names
        self._control = control
        self._new_id = new_id
        self._bounds = bounds
        self._keeps_successes = keeps_successes

    async def plan(self, asked: AskedReplay, by: str) -> Replay:
        """The replay as it would be made now, with how many it takes.

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
        """The replay, made; one of the replicas begins with it at once. Raises as `plan`."""
        replay = await self.plan(asked, by)
        await self._replays.add_replay(replay)
        await self._control.tell("jobs")
        return replay

    async def cancel(self, replay_id: str) -> Replay | None:
        """The replay, which takes nothing more; what it has started anew goes on. None where there is none.

        Raises NotAsThingsAre where it has ended in another way, HistoryUnavailable.
        """
        ended = await self._replays.end_replay(replay_id, ReplayStatus.CANCELLED, time.time())
        found = await self._replays.replay(replay_id)
        if found is not None and not ended and found.status is not ReplayStatus.CANCELLED:
            raise NotAsThingsAre(f"it has ended: {found.status}")
        if ended:
            await self._control.tell("jobs")
        return found

    async def one(self, replay_id: str) -> Replay | None:
        """The replay; None where there is none."""
        return await self._replays.replay(replay_id)

    async def page(self, *, after: str | None, limit: int) -> Page[Replay]:
        """Newest first; ValueError for a cursor that is none of ours."""
        return await self._replays.replays(after=after, limit=limit)

    # ---- what is asked for ----------------------------------------------------------------------------

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
        statuses = frozenset() if asked.missing else frozenset(asked.status or [Status.FAILED])
        return ReplayFilter(hook, statuses, asked.type, asked.source, since, until, asked.missing)

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

    # ---- what it comes to -----------------------------------------------------------------------------

    async def _plan_again(self, planned: Replay) -> Replay:
        counted = await self._replays.count(planned.which)
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
        asking = Asking(runner.hook, self._bounds, self._table.routing)
        total, exact = await count_missing(self._replays, planned, asking)
        return replace(planned, total=total, exact=exact)


def takes_part(table: HookTable, hook: str) -> HookRunner | None:
    """The runner of a hook whose deliveries are started anew: it is there and enabled, and is not being deleted.

    Where it is paused they wait in its lane.
    """
    runner = table.get(hook)
    if runner is None or table.routing.get(hook) is None or not runner.hook.enabled:
        return None
    return runner
