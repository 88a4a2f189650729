"""The workers of hooks, and the atomic replacement of the routing table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from bridge.core.base import value
from bridge.core.budget import Turn
from bridge.core.errors import SettingsError
from bridge.core.hook import Hook, HookFault, StoredHook, StoredHooks
from bridge.core.ports import HookState
from bridge.meta.words import Facts, MetaType
from bridge.pipeline.deliver import Delivering
from bridge.pipeline.hook_table import Deleted, HookTable
from bridge.pipeline.hook_worker import HookWorker, Thresholds
from bridge.pipeline.settlement import Work
from bridge.retry.policy import CircuitBreaker, Policy, Rules
from bridge.routing.table import RoutingTable
from bridge.targets.factory import Targets
from bridge.telemetry.metrics import Metrics

# The active hooks: those of the file and those of the API, with their overrides.


@value(frozen=True, slots=True)
class Effective:
    """The hooks to activate, from file and database; `revision` is the database's."""

    revision: int
    routed: tuple[Hook, ...]
    """Hooks that events are matched with; broken ones without their unreadable restrictions."""
    draining: tuple[Hook, ...]
    """Hooks that match no new events, but whose lanes are still served."""
    deleted: Mapping[str, str]
    """Deleted hooks by id, with the type of target; empty if unknown."""
    left_out: tuple[tuple[Hook, str], ...]
    """Hooks of the API that cannot be activated, with the reason."""


def effective(
    written: Sequence[Hook],
    stored: StoredHooks,
    states: Mapping[str, HookState],
    fault_of: Callable[[StoredHook], HookFault | None],
    now: float,
) -> Effective:
    """Returns the hooks to activate. `written` are the hooks of the file; `fault_of` returns why a hook of the API
    cannot be served here, None: it can.
    """
    taken = {hook.name for hook in written}
    routed = [_said(hook, states).widened() for hook in written]
    draining: list[Hook] = []
    deleted = dict.fromkeys(stored.gone, "")
    left_out: list[tuple[Hook, str]] = []
    for each in stored.hooks:
        hook = each.hook
        if each.deleting in {"drop", "gone"}:
            deleted[hook.id] = hook.target.type
            continue
        fault = fault_of(each)
        wanted = _said(each.live(now) if fault is None else each.live(now).with_fault(fault), states)
        if each.deleting == "drain":
            draining.append(wanted)
        elif hook.name in taken:
            left_out.append((hook, f"the file has a hook named {hook.name!r}, which goes first"))
        else:
            routed.append(wanted.widened())
    return Effective(stored.revision, tuple(routed), tuple(draining), deleted, tuple(left_out))


def _said(hook: Hook, states: Mapping[str, HookState]) -> Hook:
    state = states.get(hook.id)
    return hook if state is None else state.over(hook)


@dataclass(frozen=True, slots=True)
class Change:
    """The changes of a replacement, by hook id."""

    added: list[str]
    removed: list[str]
    changed: list[str]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A routing table that is ready to be activated, with its runners."""

    routing: RoutingTable
    runners: Mapping[str, HookWorker]
    hooks: Mapping[str, Hook]
    pauses: Mapping[str, str]
    """The reasons of automatic pauses, by hook id."""


class Hooks:
    """The factory of runners, which keeps the routing table up to date."""

    def __init__(
        self,
        table: HookTable,
        targets: Targets,
        metrics: Metrics,
        *,
        deleted: Deleted,
        served: frozenset[str] | None,
        thresholds: Thresholds,
        breaker: Rules,
        retry_after_max: float,
        lane_changed: Callable[[HookWorker], None],
        notify: Callable[[HookWorker, MetaType, Facts], None],
    ) -> None:
        """Prepare the factory; `served` are the types of targets that this process attempts; None: all."""
        self._table = table
        self._targets = targets
        self._metrics = metrics
        self._deleted = deleted
        self._served = served
        self._thresholds = thresholds
        self._breaker = breaker
        self._retry_after_max = retry_after_max
        self._lane_changed = lane_changed
        self._notify = notify
        self._retired: list[HookWorker] = []

    def prepare(self, wanted: Effective, delivering: Delivering, states: Mapping[str, HookState]) -> Prepared:
        """Create what is missing for these hooks. Raises SettingsError or ValueError for an invalid hook."""
        routing = RoutingTable(wanted.routed)
        hooks = {hook.id: hook for hook in (*wanted.routed, *wanted.draining)}
        pauses = {name: state.reason or "paused" for name, state in states.items() if state.paused}
        runners: dict[str, HookWorker] = {}
        for name, hook in hooks.items():
            runners[name] = self._kept(hook) or self._runner(hook, pauses.get(name, ""), delivering)
        return Prepared(routing, runners, hooks, pauses)

    def swap(self, prepared: Prepared, delivering: Delivering) -> Change:
        """Activate the table atomically.

        An unchanged hook keeps its runner. A changed hook gets a new runner, which takes over the waiting deliveries
        and the state of the lane; in-flight attempts end with the old runner.
        """
        before = {runner.hook.id: runner for runner in self._table}
        after = prepared.runners
        self._table.swap(prepared.routing, after)
        replaced = [old for name, old in before.items() if after.get(name) is not old]
        self._retired += replaced
        for old in replaced:
            self._hand_over(old, after.get(old.hook.id), delivering)
        switched = [name for name, runner in after.items() if runner.hook != prepared.hooks[name]]
        for name, runner in after.items():
            self._set_state(runner, prepared.hooks[name], prepared.pauses.get(name, ""), delivering)
        for name in before.keys() - after.keys():
            self._metrics.drop_hook(name)
        return Change(
            added=[name for name in after if name not in before],
            removed=[name for name in before if name not in after],
            changed=[*switched, *(old.hook.id for old in replaced if old.hook.id in after)],
        )

    def fault(self, hook: Hook) -> HookFault | None:
        """Returns why this process cannot serve the hook; None: it can."""
        try:
            RoutingTable((hook,))
        except ValueError as error:
            return HookFault(str(error), frozenset({"events", "filter"}))
        try:
            if self._serves(hook):
                self._targets.check(hook)
        except SettingsError as error:
            return HookFault("; ".join(map(str, error.problems)))
        return None

    async def reap(self) -> None:
        """Close replaced runners without in-flight attempts."""
        for runner in [runner for runner in self._retired if not runner.busy]:
            self._retired.remove(runner)
            await runner.close()

    def all_runners(self) -> list[HookWorker]:
        """Returns the active runners, and replaced ones that still work."""
        return [*self._table, *self._retired]

    def busy(self, hook: str) -> bool:
        """Returns whether a delivery matched with this hook is in-flight and not in a lane."""
        runner = self._table.get(hook)
        if runner is not None and runner.unrecorded:
            return True
        return any(old.busy for old in self._retired if old.hook.id == hook)

    def _serves(self, hook: Hook) -> bool:
        return self._served is None or hook.target.type in self._served

    def _kept(self, hook: Hook) -> HookWorker | None:
        """Returns the current runner if only `enabled` or `paused` change."""
        runner = self._table.get(hook.id)
        if runner is None or runner.hook is hook:
            return runner
        switched = runner.hook.model_copy(update={"enabled": hook.enabled, "paused": hook.paused})
        return runner if switched == hook else None

    def _runner(self, hook: Hook, pause: str, delivering: Delivering) -> HookWorker:
        runner = HookWorker(
            hook,
            self._targets.build(hook) if self._serves(hook) and hook.fault is None else None,
            delivering.deliver,
            policy=Policy.of(hook, retry_after_max=self._retry_after_max),
            breaker=CircuitBreaker(self._breaker),
            thresholds=self._thresholds,
            metrics=self._metrics.hook(hook.id, hook.target.type),
            changed=self._lane_changed,
            notify=self._notify,
            pause=pause,
            turn=delivering.turn,
        )
        self._metrics.name_hook(hook.id, hook.name)
        runner.metrics.breaker_state.value = 0
        return runner

    def _set_state(self, runner: HookWorker, hook: Hook, pause: str, delivering: Delivering) -> None:
        """Park deliveries that wait here for a hook that must not be attempted."""
        if runner.hook != hook:
            runner.switch(hook)
        runner.metrics.paused.value = hook.paused or bool(pause)
        if runner.pause_reason != pause:
            runner.pause(pause)
        if runner.paused or not hook.enabled:
            works = runner.queue.take_direct()
            delivering.park(runner, works, "paused" if runner.paused else "hook_disabled")

    async def _end(self, turn: Turn, work: Work) -> None:
        await turn.own()  # thousands may end at once
        self._deleted.end(work)

    def _hand_over(self, old: HookWorker, new: HookWorker | None, delivering: Delivering) -> None:
        copies, waiting = old.queue.take_copies(), old.queue.take_direct()
        if new is None and old.hook.id in self._deleted:
            old.park([*copies, *waiting], partial(self._end, delivering.turn))
            copies = waiting = []
        for copy in copies:
            copy.settlement.requeue()
        if new is None:
            # The hook was removed from the file and its lane stays: deliveries that wait here join it.
            delivering.park(old, waiting, "hook_removed")
        else:
            new.queue.take_over_lane(old.queue)
            if new.hook.enabled:
                delivering.start_all(new, waiting)
            else:
                delivering.park(new, waiting, "hook_disabled")  # matched while the hook was enabled
        self._lane_changed(new or old)
