"""Testing a hook: one event straight to its target, and what came of it."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from bridge.admin.restarting import NotNow, Unknown
from bridge.model.delivery import Answer, Delivery, Fault
from bridge.model.event import Event
from bridge.model.value import value
from bridge.pipeline.hook import HookRunner
from bridge.pipeline.table import HookTable
from bridge.ports.target import Target
from bridge.rules.bodies.trial import TRIAL_TYPE, told_event, trial_event

_GRACE = 5.0
"""Seconds beyond the target's own timeout, within which it has to answer."""


@value(frozen=True, slots=True)
class Tested:
    """What came of a test; `outcome` is `delivered` or the kind of the fault, the duration in milliseconds."""

    hook: str
    event_id: str
    event_type: str
    outcome: str
    status_code: int | None
    duration_ms: float
    response: str
    error: str

    @property
    def delivered(self) -> bool:
        """The target took it."""
        return self.outcome == "delivered"


class Testing:
    """Sends test events past patterns, filter, pause, rate and breaker: once, and nothing counts or records them."""

    def __init__(self, table: HookTable, new_id: Callable[[], str]) -> None:
        self._table = table
        self._new_id = new_id
        self._under_way: set[str] = set()

    async def test(self, hook: str, kind: str | None = None) -> Tested:
        """Send what the hook's system sends for a test, by default of type `webhook.test`; `hook`: id or name.

        Returns within the target's timeout. Raises Unknown; NotNow where this process does not serve the target, or a
        test of the hook is under way.
        """
        runner = self._runner(hook)
        return await self._send(runner, trial_event(runner.hook, self._new_id(), _now(), kind))

    async def test_with(self, hook: str, kind: str | None, data: Any) -> Tested:
        """As `test`, with an event that has these data, JSON values."""
        runner = self._runner(hook)
        event = told_event(runner.hook, self._new_id(), _now(), kind or TRIAL_TYPE, data)
        return await self._send(runner, event)

    def _runner(self, hook: str) -> HookRunner:
        runner = self._table.get(hook) or next((each for each in self._table if each.hook.name == hook), None)
        if runner is None:
            raise Unknown(f"there is no hook {hook!r}")
        return runner

    async def _send(self, runner: HookRunner, event: Event) -> Tested:
        hook, target = runner.hook, runner.target
        if hook.fault is not None:
            raise NotNow(f"this hook is broken: {hook.fault.reason}")
        if target is None:
            raise NotNow(f"this process does not serve {hook.target.type} targets (run --targets)")
        if hook.id in self._under_way:
            raise NotNow("a test of this hook is under way")
        self._under_way.add(hook.id)
        started = time.monotonic()
        try:
            answer = await _attempt(target, Delivery(self._new_id(), event, hook.id), hook.target.timeout)
        finally:
            self._under_way.discard(hook.id)
        return Tested(
            hook=hook.id,
            event_id=event.id,
            event_type=event.type,
            outcome=answer.fault.value if answer.fault else "delivered",
            status_code=answer.code,
            duration_ms=(time.monotonic() - started) * 1000,
            response=answer.response.decode(errors="backslashreplace"),
            error=answer.error,
        )


async def _attempt(target: Target, delivery: Delivery, timeout: float) -> Answer:
    try:
        async with asyncio.timeout(timeout + _GRACE):
            return await target.attempt(delivery)
    except TimeoutError:
        return Answer(Fault.TIMEOUT, error=f"no answer within {timeout:g} s")


def _now() -> float:
    """To the millisecond, as events have it."""
    return round(time.time(), 3)
