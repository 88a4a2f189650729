"""The hook operations of the API that enable, disable, pause, resume, rotate secrets and test."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Self

from pydantic import Field

from bridge.bodies.builder import TRIAL_TYPE, told_event, trial_event
from bridge.core.access import Role
from bridge.core.base import value
from bridge.core.delivery import Answer, Delivery, Fault
from bridge.core.event import Event
from bridge.core.ports import Target
from bridge.deliveries.service import NotNow, Unknown
from bridge.formats.text import event_type, utc_seconds
from bridge.hooks.api import MatchQuery, ShownHooks
from bridge.hooks.documents import NewSecretDocument, PauseBody, SecretBody
from bridge.hooks.names import AskedNames
from bridge.hooks.presenter import HookDocument
from bridge.hooks.service import InForce
from bridge.hooks.switch import RotateSecrets, SwitchHooks
from bridge.http.body import unfit
from bridge.http.documents import ClosedDocument, NotFound, moment_or_none
from bridge.http.input import Query
from bridge.http.operation import Call, Operation, Reply, conflict
from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.hook_worker import HookWorker


class HookSwitchRoutes:
    """The operations that switch hooks; on hooks of the file they write an overlay."""

    def __init__(self, in_force: InForce, switch: SwitchHooks, rotate: RotateSecrets) -> None:
        self._hooks = ShownHooks(in_force)
        self._switch = switch
        self._rotate = rotate

    def operations(self) -> Sequence[Operation]:
        switch = self._switch
        return [
            self._operation("enable", "Enable a hook", switch.enable),
            self._operation(
                "disable",
                "Disable a hook: matching events are recorded as SKIPPED; waiting deliveries keep waiting",
                switch.disable,
            ),
            replace(
                self._operation("pause", "Pause a hook: its deliveries wait in its lane", switch.resume),
                run=self._pause,
                body=PauseBody,
                body_required=False,
                example={"reason": "maintenance until 6 p.m."},
            ),
            self._operation("resume", "Resume a hook; also lifts an automatic pause", switch.resume),
            Operation(
                name="hooks.rotate_secret",
                method="POST",
                path="/v1/hooks/{id}/secret",
                summary="Rotate the secret of a hook; old secrets still sign for a limited time",
                run=self._new_secret,
                role=Role.ADMIN,
                query=MatchQuery,
                body=SecretBody,
                body_required=False,
                example={"keep": "24h"},
                answers={200: NewSecretDocument},
                answer_headers=("ETag",),
                problems=self._hooks.problems,
                refusals=frozenset({409, 412}),
            ),
        ]

    def _operation(self, verb: str, summary: str, switch: Callable[[str], Awaitable[str]]) -> Operation:
        async def run(call: Call[Query, None]) -> Reply:
            hook_id = await switch(call.which)
            return self._hooks.shown(hook_id, id=hook_id)

        return Operation(
            name=f"hooks.{verb}",
            method="POST",
            path=f"/v1/hooks/{{id}}/{verb}",
            summary=summary,
            run=run,
            role=Role.OPERATOR,
            answers={200: HookDocument},
            answer_headers=("ETag",),
            problems=self._hooks.problems,
            refusals=frozenset({409}),
        )

    async def _pause(self, call: Call[Query, PauseBody]) -> Reply:
        hook_id = await self._switch.pause(call.which, call.body.reason)
        return self._hooks.shown(hook_id, id=hook_id, reason=call.body.reason)

    async def _new_secret(self, call: Call[MatchQuery, SecretBody]) -> Reply:
        wanted = call.body
        secret = None if wanted.secret is None else wanted.secret.get_secret_value()
        made = await self._rotate.rotate(call.which, secret, keep=wanted.keep, match=call.query.match)
        document = NewSecretDocument.unchecked(
            made,
            id=made.stored.hook.id,
            starts_at=utc_seconds(made.starts_at),
            expires_at=moment_or_none(made.expires_at),
        )
        return Reply(
            document=document,
            headers={"ETag": f'"{made.stored.version}"'},
            changed=document.model_dump(include={"id", "expires_at"}),
        )


# The test of a hook: one event sent straight to its target, and the result.


_GRACE = 5.0
"""Seconds beyond the target's own timeout within which a test has to end."""


@value(frozen=True, slots=True)
class Tested:
    """The result of a test; `outcome` is `delivered` or the kind of the fault, the duration in milliseconds."""

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
        """Returns whether the target accepted the event."""
        return self.outcome == "delivered"


class Testing:
    """Sends test events past patterns, filter, pause, rate and breaker; tests are neither counted nor recorded."""

    def __init__(self, table: HookTable, new_id: Callable[[], str]) -> None:
        self._table = table
        self._new_id = new_id
        self._under_way: set[str] = set()

    async def test(self, hook: str, kind: str | None = None) -> Tested:
        """Sends the test event of the hook's profile, by default of type `webhook.test`; `hook`: id or name.

        Returns within the target's timeout. Raises Unknown; NotNow if this process does not serve the target, or a test of the
        hook is in progress.
        """
        runner = self._runner(hook)
        return await self._send(runner, trial_event(runner.hook, self._new_id(), _now(), kind))

    async def test_with(self, hook: str, kind: str | None, data: Any) -> Tested:
        """Sends a test event with these data, JSON values; else as `test`."""
        runner = self._runner(hook)
        event = told_event(runner.hook, self._new_id(), _now(), kind or TRIAL_TYPE, data)
        return await self._send(runner, event)

    def _runner(self, hook: str) -> HookWorker:
        runner = self._table.get(hook) or next((each for each in self._table if each.hook.name == hook), None)
        if runner is None:
            raise Unknown(f"there is no hook {hook!r}")
        return runner

    async def _send(self, runner: HookWorker, event: Event) -> Tested:
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
    """Returns the Unix time, rounded to the millisecond as in events."""
    return round(time.time(), 3)


# Tests of hooks.


class TestBody(ClosedDocument):
    """The event of a test; without a body, the hook's profile determines it."""

    __test__ = False
    type: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """Event type; default: webhook.test."""
    data: Any = None
    """Whole body, any JSON; default: a test message in the form of the hook's profile."""


class TestedDocument(ClosedDocument):
    """The result of a test."""

    __test__ = False
    delivered: bool
    """Whether the target accepted the event."""
    outcome: str
    """delivered, or the kind of the fault, as in attempts."""
    status_code: int | None
    """HTTP status or exit code."""
    duration_ms: Annotated[float, Field(ge=0)]
    """Duration in milliseconds."""
    response: str | None
    """Beginning of the response, or end of a script's output."""
    error: str | None
    """Error text."""
    event_id: str
    """Id of the event that was sent, which is not stored in the history."""
    event_type: str
    """Type of the event."""

    @classmethod
    def of(cls, tested: Tested) -> Self:
        """Returns the document of the result."""
        return cls.unchecked(
            tested,
            duration_ms=round(tested.duration_ms, 3),
            response=tested.response or None,
            error=tested.error or None,
        )


# The operation that tests a hook.


class TestRoutes:
    """The operation that sends test events."""

    __test__ = False

    def __init__(self, testing: Testing, names: AskedNames) -> None:
        self._testing = testing
        self._names = names

    def operations(self) -> Sequence[Operation]:
        return [
            Operation(
                name="hooks.test",
                method="POST",
                path="/v1/hooks/{id}/test",
                summary="Send a test event to the hook's target; the response has the result",
                run=self._test,
                role=Role.OPERATOR,
                body=TestBody,
                body_required=False,
                answers={200: TestedDocument},
                problems={Unknown: self._unknown, NotNow: conflict},
                refusals=frozenset({409}),
            )
        ]

    async def _test(self, call: Call[Query, TestBody]) -> Reply:
        body = call.body
        if body.type is not None and event_type(body.type) != body.type:
            raise unfit([("type", "no event has such a type: at most 255 bytes, without control characters")])
        tested = await self._tested(call.which, body)
        changed = {"id": tested.hook, "outcome": tested.outcome, "event_id": tested.event_id}
        return Reply(document=TestedDocument.of(tested), changed=changed)

    def _unknown(self, _: Unknown, call: Call[Any, Any]) -> NotFound:
        return NotFound(f"no hook has this name or id{self._names.nearest_hook(call.which)}")

    async def _tested(self, hook: str, body: TestBody) -> Tested:
        if "data" in body.model_fields_set:
            return await self._testing.test_with(hook, body.type, body.data)
        return await self._testing.test(hook, body.type)
