"""The hooks of a process: built from their configuration, swapped whole when the file changes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bridge.model.hook import Hook
from bridge.pipeline.delivery import Delivering
from bridge.pipeline.hook import HookRunner, Thresholds
from bridge.pipeline.lane import Lane
from bridge.pipeline.table import HookTable
from bridge.ports.history import HookState
from bridge.rules.meta.words import Facts, MetaType
from bridge.rules.retry.breaker import Breaker, Rules
from bridge.rules.retry.judge import Policy
from bridge.rules.routing.table import RoutingTable
from bridge.targets.factory import Targets
from bridge.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Change:
    """What a swap changed, by hook id."""

    added: list[str]
    removed: list[str]
    changed: list[str]


class Hooks:
    """Makes runners and keeps the table of them up to date."""

    def __init__(
        self,
        table: HookTable,
        targets: Targets,
        metrics: Metrics,
        *,
        served: frozenset[str] | None,
        thresholds: Thresholds,
        breaker: Rules,
        retry_after_max: float,
        lane_changed: Callable[[HookRunner], None],
        told: Callable[[HookRunner, MetaType, Facts], None],
    ) -> None:
        """`served`: types of targets that this process attempts; None: all."""
        self._table = table
        self._targets = targets
        self._metrics = metrics
        self._served = served
        self._thresholds = thresholds
        self._breaker = breaker
        self._retry_after_max = retry_after_max
        self._lane_changed = lane_changed
        self._told = told
        self._retired: list[HookRunner] = []

    def swap(self, hooks: Sequence[Hook], delivering: Delivering, states: dict[str, HookState]) -> Change:
        """Put these hooks in force, atomically; raises SettingsError, with nothing changed, for a bad one.

        A hook that is the same as before keeps its runner. A changed one gets a new runner, which takes over
        what waits for it and its knowledge of the lane; attempts under way end with the old one.
        """
        routing = RoutingTable(hooks)
        before = {runner.hook.id: runner for runner in self._table}
        after = {
            hook.id: before[hook.id]
            if hook.id in before and before[hook.id].hook == hook
            else self._runner(hook, delivering, states.get(hook.id))
            for hook in hooks
        }
        self._table.swap(routing, after)
        replaced = [old for name, old in before.items() if after.get(name) is not old]
        for old in replaced:
            self._hand_over(old, after.get(old.hook.id), delivering)
        self._retired += replaced
        for name in before.keys() - after.keys():
            self._metrics.drop_hook(name)
        return Change(
            added=[name for name in after if name not in before],
            removed=[name for name in before if name not in after],
            changed=[old.hook.id for old in replaced if old.hook.id in after],
        )

    async def reap(self) -> None:
        """Let go of replaced runners whose attempts have ended."""
        for runner in [runner for runner in self._retired if not runner.busy]:
            self._retired.remove(runner)
            await runner.close()

    def all_runners(self) -> list[HookRunner]:
        """Those in force and those replaced that still work."""
        return [*self._table, *self._retired]

    def _runner(self, hook: Hook, delivering: Delivering, state: HookState | None) -> HookRunner:
        served = self._served is None or hook.target.type in self._served
        runner = HookRunner(
            hook,
            self._targets.build(hook) if served else None,
            delivering.deliver,
            policy=Policy.of(hook, retry_after_max=self._retry_after_max),
            breaker=Breaker(self._breaker),
            thresholds=self._thresholds,
            metrics=self._metrics.hook(hook.id, hook.target.type),
            changed=self._lane_changed,
            told=self._told,
        )
        if state is not None and state.paused:
            runner.pause_reason = state.reason
        runner.metrics.paused.value = runner.paused
        runner.metrics.breaker_state.value = 0
        return runner

    def _hand_over(self, old: HookRunner, new: HookRunner | None, delivering: Delivering) -> None:
        for copy in old.take_lane():
            copy.settlement.give_back()
        waiting = old.take_waiting()
        if new is None:
            # The hook is gone from the file, its lane stays: what waits here for it joins what waits there.
            for work in waiting:
                delivering.park(old, work, "hook_removed")
        else:
            new.lane, old.lane = old.lane, Lane()
            for work in waiting:
                if new.hook.enabled:
                    delivering.start(new, work)
                else:
                    delivering.park(new, work, "hook_disabled")  # it matched while the hook was enabled
        self._lane_changed(new or old)
