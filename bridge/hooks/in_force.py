"""The active hooks of this process: those of the file and those of the API, reconciled with the database."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import structlog

from bridge.amqp.topology import Topology
from bridge.core.base import Backoff
from bridge.core.errors import HistoryUnavailable, SettingsError
from bridge.core.hook import Hook, HookFault, StoredHook, StoredHooks
from bridge.core.ports import Control, History, HookState
from bridge.core.records import HookHealth
from bridge.hooks.runners import Change, Effective, Hooks, effective
from bridge.hooks.store import SqlHooks
from bridge.pipeline.deliver import Delivering
from bridge.pipeline.hook_table import Deleted, HookTable
from bridge.pipeline.hook_worker import HookWorker
from bridge.pipeline.lanes import LaneScheduler
from bridge.pipeline.orphans import OrphanedCopies
from bridge.pipeline.watch import PipelineWatch
from bridge.telemetry import events

log = structlog.get_logger(__name__)

_NEVER = StoredHooks(-1, ())
_WAITS = "what it asks for waits in its lane until it is mended"
_AS_BEFORE = "it stays in force as it was before"
_NO_MATCH = "nothing is matched with it, and what waits stays in its lane"


class AutomaticPauses:
    """The pauses that this process made and has not stored yet."""

    def __init__(self, table: HookTable, watch: PipelineWatch) -> None:
        self._table, self._watch = table, watch
        self.unstored: dict[str, HookState] = {}
        self.news = asyncio.Event()
        """Set whenever there is something to store."""

    def pause(self, runner: HookWorker, reason: str) -> None:
        """Pauses a hook on behalf of the bridge: its deliveries wait until a person resumes it."""
        self._watch.paused(runner, reason)
        runner.pause(reason)
        self.remember(runner.hook.id, reason)

    def remember(self, hook: str, reason: str) -> None:
        """Stores the pause of a hook, which is paused here already."""
        self.say(HookState(hook, paused=True, reason=reason, at=time.time()))

    def say(self, state: HookState) -> None:
        """Sets or lifts an automatic pause, which is stored and announced in the background."""
        self.unstored[state.hook] = state
        self.news.set()
        if not state.paused and (runner := self._table.get(state.hook)) is not None:
            runner.pause("")


class HooksInForce:
    """The reconciliation loop of active hooks: it activates stored changes of any replica.

    The database is the source of truth; a control message only triggers an early check. Reading and activating happen
    under one lock, so that an older state never replaces a newer one.
    """

    health: Mapping[str, HookHealth] = MappingProxyType({})

    def __init__(
        self,
        store: SqlHooks,
        history: History,
        written: Sequence[Hook],
        *,
        table: HookTable,
        hooks: Hooks,
        delivering: Delivering,
        deleted: Deleted,
        topology: Topology,
        service: LaneScheduler,
        strays: OrphanedCopies,
        control: Control,
        pauses: AutomaticPauses,
        everywhere: Callable[[int], Awaitable[None]],
    ) -> None:
        """`written` are the hooks of the file; `everywhere` waits until all replicas have activated a revision."""
        self.table = table
        self._store, self._history = store, history
        self._hooks, self._delivering, self._deleted = hooks, delivering, deleted
        self._topology, self._service, self._strays = topology, service, strays
        self._control = control
        self._pauses, self._everywhere = pauses, everywhere
        self.news = asyncio.Event()
        """Set whenever a change was activated."""
        self.outlived: set[str] = set()
        """Hooks that were active here when their lanes were deleted: a late copy may have recreated the lane."""
        self._written = tuple(written)
        self._found = _NEVER
        self._states: Mapping[str, HookState] = {}
        self._reading = asyncio.Lock()
        self._wanted = asyncio.Event()
        self._judged: dict[str, tuple[int, HookFault | None]] = {}
        self._refused, self._broken = dict[str, str](), dict[str, str]()
        self._leaving: dict[str, int] = {}
        self._next_end: float | None = None

    # State.

    @property
    def written(self) -> Mapping[str, Hook]:
        """Returns the hooks of the file by id; for a hook that has become broken its last valid version."""
        return {hook.id: hook for hook in self._written}

    @property
    def stored(self) -> Mapping[str, StoredHook]:
        """Returns the hooks of the API as last read, by id."""
        return {each.hook.id: each for each in self._found.hooks}

    @property
    def gone(self) -> Mapping[str, str]:
        """Returns the names of deleted hooks of the API as last read, by id."""
        return self._found.gone

    @property
    def states(self) -> Mapping[str, HookState]:
        """Returns the pauses and overrides of hooks, including those not stored yet."""
        return self._said(self._states)

    @property
    def broken(self) -> Mapping[str, str]:
        """Returns why hooks cannot be served as configured, by id."""
        return self._broken

    @property
    def revision(self) -> int:
        """Returns the active revision; -1: nothing was read yet."""
        return self._found.revision

    @property
    def settled(self) -> int:
        """Returns the revision up to which no delivery of removed hooks is in-flight here."""
        self._leaving = {hook: at for hook, at in self._leaving.items() if self._hooks.busy(hook)}
        return min(self._leaving.values()) - 1 if self._leaving else self.revision

    # Changes.

    async def changed(self) -> None:
        """Activate the stored hooks here and at the other replicas; waits at most a second for these."""
        await asyncio.create_task(self._changed(), name="hooks in force")

    async def _changed(self) -> None:
        await self._read()
        await self._control.tell("hooks")
        await self._everywhere(self.revision)

    def rewrite(self, written: Sequence[Hook]) -> Change:
        """Replace the hooks of the file. A hook that became broken keeps its last valid version.

        Automatic pauses of changed or removed hooks are lifted, because the operator has attended to them.
        """
        mine = {hook.id for hook in (*self._written, *written)}
        before, refused = self._refused, {hook.id: hook.fault.reason for hook in written if hook.fault}
        sound = {hook.id: hook for hook in self._written if hook.fault is None}
        kept = tuple(sound.get(hook.id, hook) if hook.fault else hook for hook in written)
        self._refused = {one: why for one, why in refused.items() if one in sound}
        try:
            change = self._put_in_force(kept, self._found, self._states)
        except BaseException:
            self._refused = before
            raise
        paused = {hook for hook, state in self.states.items() if state.paused}
        for hook in paused & mine & {*change.changed, *change.removed}:
            self._pauses.say(HookState(hook, paused=False, reason="", at=time.time()))
        return change

    def heard(self, _about: str) -> None:
        """Triggers a check."""
        self._wanted.set()

    async def start(self) -> None:
        """Activates the hooks at the start; raises SettingsError for an invalid hook of the file, HistoryUnavailable."""
        await self._read()

    async def run(self) -> None:
        """Reconcile with the database until cancelled."""
        await asyncio.gather(self._follow(), self._store_pauses())

    async def refresh(self) -> None:
        """Activate the stored hooks if their revision differs. Raises HistoryUnavailable."""
        if await self._store.revision() != self.revision:
            await self._read()

    async def _follow(self) -> None:
        backoff = Backoff(0.2)
        while True:
            over = await self._wait()
            try:
                await (self._read() if over else self.refresh())
            except HistoryUnavailable as error:
                log.warning("hooks.not_read", error=str(error), effect="those in force stay so")
                self._wanted.set()
                await backoff.pause()
            except SettingsError as error:
                events.hooks.error("hooks.refused", reason=str(error))
            else:
                backoff.reset()

    async def _wait(self) -> bool:
        """Wait for a trigger; returns True if a replaced secret expired, which changes no revision."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._next_end and max(0.05, self._next_end - time.time())):
                await self._wanted.wait()
        self._wanted.clear()
        return self._next_end is not None and self._next_end <= time.time()

    async def _store_pauses(self) -> None:
        """Store automatic pauses, so that they survive restarts and apply to all replicas."""
        while True:
            await self._pauses.news.wait()
            self._pauses.news.clear()
            try:
                for state in list(self._pauses.unstored.values()):
                    await self._store_pause(state)
            except HistoryUnavailable:
                self._pauses.news.set()
                await asyncio.sleep(1)
            else:
                await self._control.tell("hooks")

    async def _store_pause(self, state: HookState) -> None:
        """Store a pause under the lock: a concurrent reader would miss it in the database and here."""
        async with self._reading:
            await self._history.set_hook_state(state)
            self._states = {**self._states, state.hook: self._said(self._states)[state.hook]}
            if self._pauses.unstored[state.hook] is state:
                del self._pauses.unstored[state.hook]

    # Activation.

    async def _read(self) -> None:
        async with self._reading:
            found = await self._store.stored_hooks()
            states = await self._history.hook_states()
            self._put_in_force(self._written, found, states)

    def _put_in_force(
        self, written: tuple[Hook, ...], found: StoredHooks, states: Mapping[str, HookState]
    ) -> Change:
        now, said = time.time(), self._said(states)
        wanted = effective(written, found, said, self._fault_of, now)
        prepared = self._hooks.prepare(wanted, self._delivering, said)
        routed = {hook.id for hook in self.table.routing.hooks}
        if wanted.deleted or self._deleted:
            self._deleted.are(wanted.deleted)
            self._topology.make_no_lanes(frozenset(wanted.deleted))
        change = self._hooks.swap(prepared, self._delivering)
        self._written, self._found, self._states = written, found, states
        left = routed.difference(hook.id for hook in wanted.routed)
        self._leaving |= dict.fromkeys(left, found.revision)
        self.outlived.update(found.gone.keys() & set(change.removed))
        self._next_end = min((end for each in found.hooks if (end := each.next_end(now))), default=None)
        self.news.set()
        self._tell_broken(wanted)
        self._strays.bring_known_home()
        if change.added:
            self._service.lane_made("")
        return change

    def _said(self, states: Mapping[str, HookState]) -> dict[str, HookState]:
        """Returns the stored states with the pauses that are not stored yet; overrides are unchanged."""
        said = dict(states)
        for hook, state in self._pauses.unstored.items():
            before = said.get(hook, state)
            said[hook] = replace(before, paused=state.paused, reason=state.reason, at=state.at)
        return said

    def _fault_of(self, stored: StoredHook) -> HookFault | None:
        """Returns why the hook cannot be served here: it was validated at creation, but by another process."""
        if stored.hook.fault is not None:
            return stored.hook.fault
        judged = self._judged.get(stored.hook.id)
        if judged is None or judged[0] != stored.version:
            judged = self._judged[stored.hook.id] = stored.version, self._hooks.fault(stored.hook)
        return judged[1]

    def _tell_broken(self, wanted: Effective) -> None:
        """Log an error for each broken hook, once for each reason."""
        broken = {hook.id: (hook, hook.fault.reason, _WAITS) for hook in wanted.routed if hook.fault}
        broken |= {hook.id: (hook, why, _NO_MATCH) for hook, why in wanted.left_out}
        for runner in self.table:
            if why := self._refused.get(runner.hook.id):
                broken[runner.hook.id] = runner.hook, why, _AS_BEFORE
            runner.metrics.broken.value = runner.hook.id in broken
        for one, (hook, why, effect) in sorted(broken.items()):
            if self._broken.get(one) != why:
                events.hooks.error("hook.broken", hook=one, name=hook.name, reason=why, effect=effect)
        self._broken = {one: why for one, (_, why, _) in broken.items()}
