"""The hook operations of the API that enable, disable, pause, resume, rotate secrets and test."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from pydantic import Field

from bridge.bodies.builder import TRIAL_TYPE, told_event, trial_event
from bridge.core.access import Role
from bridge.core.delivery import Answer, Delivery, Fault
from bridge.core.event import Event
from bridge.core.hook import Hook
from bridge.core.ports import Target
from bridge.deliveries.service import NotNow, Unknown
from bridge.formats.text import event_type
from bridge.hooks.api import MatchQuery, ShownHooks
from bridge.hooks.documents import NewSecretDocument, PauseBody, SecretBody
from bridge.hooks.names import AskedNames
from bridge.hooks.presenter import HookDocument
from bridge.hooks.service import InForce
from bridge.hooks.switch import RotateSecrets, Switch, SwitchHooks
from bridge.http.body import unfit
from bridge.http.documents import ClosedDocument, NotFound
from bridge.http.input import Query, Uuid, is_id
from bridge.http.operation import Call, Operation, OperationGroup, Reply, conflict
from bridge.pipeline.hook_table import HookTable


def _switching(verb: str, summary: str, **further: Any) -> Operation:
    return Operation(
        name=f"hooks.{verb}",
        method="POST",
        path=f"/v1/hooks/{{id}}/{verb}",
        summary=summary,
        role=Role.OPERATOR,
        answers={200: HookDocument},
        answer_headers=("ETag",),
        refusals=frozenset({409}),
        **further,
    )


class HookSwitchRoutes(OperationGroup):
    """The operations that switch hooks; on hooks of the file they write an overlay."""

    def __init__(self, in_force: InForce, switch: SwitchHooks, rotate: RotateSecrets) -> None:
        self._hooks = ShownHooks(in_force)
        self.problems = self._hooks.problems
        self._switch = switch
        self._rotate = rotate

    @_switching("enable", "Enable a hook")
    async def _enable(self, call: Call[Query, None]) -> Reply:
        return await self._switched(call, Switch(enabled=True))

    @_switching(
        "disable", "Disable a hook: matching events are recorded as SKIPPED; waiting deliveries keep waiting"
    )
    async def _disable(self, call: Call[Query, None]) -> Reply:
        return await self._switched(call, Switch(enabled=False))

    @_switching(
        "pause",
        "Pause a hook: its deliveries wait in its lane",
        body_required=False,
        example={"reason": "maintenance until 6 p.m."},
    )
    async def _pause(self, call: Call[Query, PauseBody]) -> Reply:
        reason = call.body.reason
        return await self._switched(call, Switch(paused=True, reason=reason), reason=reason)

    @_switching("resume", "Resume a hook; also lifts an automatic pause")
    async def _resume(self, call: Call[Query, None]) -> Reply:
        return await self._switched(call, Switch(paused=False))

    async def _switched(self, call: Call[Any, Any], switch: Switch, **changed: Any) -> Reply:
        hook_id = await self._switch.switch(call.which, switch)
        return self._hooks.shown(hook_id, id=hook_id, **changed)

    @Operation(
        name="hooks.rotate_secret",
        method="POST",
        path="/v1/hooks/{id}/secret",
        summary="Rotate the secret of a hook; old secrets still sign for a limited time",
        role=Role.ADMIN,
        body_required=False,
        example={"keep": "24h"},
        answers={200: NewSecretDocument},
        answer_headers=("ETag",),
        refusals=frozenset({409, 412}),
    )
    async def _new_secret(self, call: Call[MatchQuery, SecretBody]) -> Reply:
        wanted = call.body
        secret = None if wanted.secret is None else wanted.secret.get_secret_value()
        made = await self._rotate.rotate(call.which, secret, keep=wanted.keep, match=call.query.match)
        document = NewSecretDocument.unchecked(made, id=made.stored.hook.id)
        return Reply(
            document=document,
            headers={"ETag": f'"{made.stored.version}"'},
            changed=document.model_dump(include={"id", "expires_at"}),
        )


OF_PROFILE = object()
"""Stands for the data of the test event that the hook's profile determines."""


# The test of a hook: one event sent straight to its target, and the result.


class TestBody(ClosedDocument):
    """The event of a test; without a body, the hook's profile determines it."""

    __test__ = False
    type: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """Event type; default: webhook.test."""
    data: Any = None
    """Whole body, any JSON; default: a test message in the form of the hook's profile."""
    event_id: Uuid | None = None
    """Id of an event of the history, which is sent as it was; not with `type` and `data`."""

    @property
    def asked(self) -> tuple[str | None, Any]:
        """Returns the type and the data; raises RequestProblem for a body that contradicts itself."""
        if self.event_id is not None and self.model_fields_set & {"type", "data"}:
            raise unfit([("event_id", "goes not with `type` and `data`")])
        if self.event_id is not None and not is_id(self.event_id):
            raise unfit([("event_id", "must be a UUID")])
        if self.type is not None and event_type(self.type) != self.type:
            raise unfit([("type", "no event has such a type: at most 255 bytes, without control characters")])
        return self.type, self.data if "data" in self.model_fields_set else OF_PROFILE


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


_GRACE = 5.0
"""Seconds beyond the target's own timeout within which a test has to end."""


class Testing:
    """Sends test events past patterns, filter, pause, rate and breaker; tests are neither counted nor recorded."""

    def __init__(
        self, table: HookTable, new_id: Callable[[], str], event: Callable[[str], Awaitable[Event | None]]
    ) -> None:
        """`event` returns the event of the history with an id, as it was routed."""
        self._table = table
        self._new_id = new_id
        self._event = event
        self._under_way: set[str] = set()

    async def test(
        self, which: str, kind: str | None = None, data: Any = OF_PROFILE, event_id: str | None = None
    ) -> tuple[str, TestedDocument]:
        """Sends a test event, by default of type `webhook.test`, to the hook with this id or name; `data` are JSON values,
        `event_id` names an event of the history to send.

        Returns the hook's id, and the result, within the target's timeout. Raises Unknown; NotNow if this process does not
        serve the target, or a test of the hook is in progress.
        """
        named = (each for each in self._table if each.hook.name == which)
        runner = self._table.get(which) or next(named, None)
        if runner is None:
            raise Unknown(f"there is no hook {which!r}")
        hook, target = runner.hook, runner.target
        if hook.fault is not None:
            raise NotNow(f"this hook is broken: {hook.fault.reason}")
        if target is None:
            raise NotNow(f"this process does not serve {hook.target.type} targets (run --targets)")
        return hook.id, await self.send(hook, target, kind, data, event_id=event_id)

    async def send(
        self, hook: Hook, target: Target, kind: str | None, data: Any, *, event_id: str | None
    ) -> TestedDocument:
        """Sends the event to this target; raises NotNow while a test of the hook is in progress."""
        if hook.id in self._under_way:
            raise NotNow("a test of this hook is under way")
        event = await self._made(hook, kind, data, event_id)
        self._under_way.add(hook.id)
        started = time.monotonic()
        try:
            answer = await _attempt(target, Delivery(self._new_id(), event, hook.id), hook.target.timeout)
        finally:
            self._under_way.discard(hook.id)
        return TestedDocument.unchecked(
            delivered=answer.fault is None,
            outcome=answer.fault.value if answer.fault else "delivered",
            status_code=answer.code,
            duration_ms=round((time.monotonic() - started) * 1000, 3),
            response=answer.response.decode(errors="backslashreplace") or None,
            error=answer.error or None,
            event_id=event.id,
            event_type=event.type,
        )

    async def _made(self, hook: Hook, kind: str | None, data: Any, event_id: str | None) -> Event:
        if event_id is not None:
            found = await self._event(event_id)
            if found is None:
                raise NotFound("no event has the id in `event_id`")
            return found
        new_id, at = self._new_id(), round(time.time(), 3)
        if data is OF_PROFILE:
            return trial_event(hook, new_id, at, kind)
        return told_event(hook, new_id, at, kind or TRIAL_TYPE, data)


async def _attempt(target: Target, delivery: Delivery, timeout: float) -> Answer:
    try:
        async with asyncio.timeout(timeout + _GRACE):
            return await target.attempt(delivery)
    except TimeoutError:
        return Answer(Fault.TIMEOUT, error=f"no answer within {timeout:g} s")


class TestRoutes(OperationGroup):
    """The operation that sends test events."""

    __test__ = False

    def __init__(self, testing: Testing, names: AskedNames) -> None:
        self._testing = testing
        self.problems = {
            Unknown: lambda _, call: NotFound(f"no hook has this name or id{names.nearest_hook(call.which)}"),
            NotNow: conflict,
        }

    @Operation(
        name="hooks.test",
        method="POST",
        path="/v1/hooks/{id}/test",
        summary="Send a test event to the hook's target; the response has the result",
        role=Role.OPERATOR,
        body_required=False,
        answers={200: TestedDocument},
        refusals=frozenset({409}),
    )
    async def _test(self, call: Call[Query, TestBody]) -> Reply:
        kind, data = call.body.asked
        hook, tested = await self._testing.test(call.which, kind, data, call.body.event_id)
        return Reply(
            document=tested,
            changed={"id": hook, "outcome": tested.outcome, "event_id": tested.event_id},
        )
