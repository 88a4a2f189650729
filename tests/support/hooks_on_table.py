"""Hooks in force in the process of a test: read from a real store, served by runners at rest."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from bridge.core.hook import Hook, StoredHook
from bridge.core.ports import History, HookState
from bridge.core.records import HookHealth
from bridge.hooks.runners import effective
from bridge.hooks.service import Removal
from bridge.hooks.store import SqlHooks
from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.hook_worker import HookWorker
from bridge.routing.table import RoutingTable


class HooksOnTable:
    """The port InForce without a broker, and Delete: lanes are empty, so that deleting is done at once."""

    def __init__(
        self,
        table: HookTable,
        store: SqlHooks,
        history: History,
        written: Sequence[Hook],
        runner_of: Callable[[Hook], HookWorker],
    ) -> None:
        self.table = table
        self.written: Mapping[str, Hook] = {hook.id: hook for hook in written}
        self.stored: Mapping[str, StoredHook] = {}
        self.gone: Mapping[str, str] = {}
        self.states: Mapping[str, HookState] = {}
        self.broken: Mapping[str, str] = {}
        self.health: Mapping[str, HookHealth] = {}
        self.changes = 0
        self._store, self._history, self._runner_of = store, history, runner_of

    async def changed(self) -> None:
        self.changes += 1
        found = await self._store.stored_hooks()
        self.stored = {each.hook.id: each for each in found.hooks}
        self.gone = found.gone
        self.states = await self._history.hook_states()
        now = time.time()
        wanted = effective([*self.written.values()], found, self.states, lambda _: None, now)
        kept = {runner.hook.id: runner for runner in self.table}
        runners = {
            hook.id: kept[hook.id]
            if hook.id in kept and kept[hook.id].hook == hook
            else self._runner_of(hook)
            for hook in (*wanted.routed, *wanted.draining)
        }
        for hook_id, runner in runners.items():
            state = self.states.get(hook_id)
            runner.pause(state.reason if state is not None and state.paused else "")
        self.table.swap(RoutingTable(wanted.routed), runners)

    async def delete(self, hook: StoredHook, how: Literal["drain", "drop"]) -> Removal:
        if how == "drain" and (runner := self.table.get(hook.hook.id)) is not None and runner.lane.depth:
            await self.changed()
            return Removal("draining", waiting=runner.lane.depth)
        await self._store.delete_hook(hook.hook.id, "gone", time.time(), version=None)
        await self.changed()
        return Removal("drained" if how == "drain" else "dropped", deliveries=0)
