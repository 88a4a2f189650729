"""The preview of a draft hook: what it would have matched of the latest events, and the request that it would send."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from bridge.core.access import Role
from bridge.core.base import value
from bridge.core.delivery import Delivery
from bridge.core.errors import Problem, SettingsError
from bridge.core.event import Event
from bridge.core.hook import Hook
from bridge.core.ports import Preview, Target
from bridge.core.records import EventFilter, KnownEvent
from bridge.deliveries.documents import RequestDocument
from bridge.deliveries.service import NotNow
from bridge.events.documents import as_event
from bridge.events.inspection import reason
from bridge.formats.parse import Bounds
from bridge.history.history import SqlHistory
from bridge.hooks.api_switches import TestBody, TestedDocument, Testing
from bridge.hooks.presenter import SeenHook, seen_hook
from bridge.hooks.service import InForce
from bridge.hooks.validate import Grounds, draft_of, replaced, without_read_only
from bridge.http.body import LARGE, unfit
from bridge.http.documents import ClosedDocument, NotFound, UtcMoment
from bridge.http.input import Query, Uuid, is_id
from bridge.http.operation import Call, Operation, OperationGroup, Reply, conflict
from bridge.pipeline.hook_table import HookTable
from bridge.routing.table import MATCHING, Decision, Explanation, RoutingTable

MOST_LOOKED_AT = 500
"""Maximum events that a draft is compared with."""
PATIENCE = 0.25
"""Seconds for which events are looked at."""
_AT_ONCE = 50
_MOST_BYTES = 4 * 1024 * 1024
_ROWS = 10
"""Maximum events that are shown of each decision."""
_PLACE = re.compile(r"line (\d+), column (\d+): ")
_ASKING = ThreadPoolExecutor(1, thread_name_prefix="preview")
"""One thread for all previews: evaluating many bodies must not take the whole process."""


class PreviewBody(ClosedDocument):
    """A draft of a hook."""

    hook: dict[str, Any]
    """The hook as it would be created; its name may be missing."""
    like: str | None = Field(default=None, min_length=1, max_length=67)
    """Id or name of the hook that is edited: absent secrets are taken from it, and decisions are compared with it."""
    event_id: Uuid | None = None
    """Id of the event whose request is shown; default: the newest that matches."""
    source: str | None = Field(default=None, min_length=1, max_length=64)
    """Only events of this source."""


class PreviewProblemDocument(ClosedDocument):
    """A problem of the draft."""

    name: str
    """Path in the hook."""
    reason: str
    """Description of the problem."""
    line: int | None
    """Line in an expression or template, from 1; null if the problem has no place."""
    column: int | None
    """Column in that line, from 1."""

    @classmethod
    def of(cls, problem: Problem) -> "PreviewProblemDocument":
        """Returns the document; the place is at the beginning of the text."""
        place = _PLACE.search(problem.message)
        line, column = (int(place[1]), int(place[2])) if place else (None, None)
        return cls.unchecked(name=problem.path, reason=problem.message, line=line, column=column)


class PreviewRowDocument(ClosedDocument):
    """An event, and the decision of the draft about it."""

    event_id: str
    """Id of the event."""
    event_type: str
    """Type of the event."""
    source: str
    """Name of its source."""
    received_at: UtcMoment
    """When it was received."""
    decision: str
    """match, disabled, other_source, no_pattern, filtered, taken, filter_missing_key or filter_error."""
    reason: str
    """Description of the decision."""
    matched_before: bool | None
    """Whether the hook in force matches the event; null without `like`."""


class PreviewDocument(ClosedDocument):
    """What a draft of a hook would do. Nothing is sent, stored or counted."""

    problems: list[PreviewProblemDocument]
    """Problems of the draft; empty: it could be saved."""
    events: Annotated[int, Field(ge=0)]
    """Number of events that were looked at, the newest first: up to 500, for up to 250 ms."""
    complete: bool
    """true: the history has no further events."""
    back_to: UtcMoment | None
    """When the last of them was received; null if there was none."""
    decisions: dict[str, Annotated[int, Field(ge=1)]]
    """Number of these events by decision."""
    added: int | None
    """Number of these that the draft matches and the hook in force does not; null without `like`."""
    removed: int | None
    """Number of these that the hook in force matches and the draft does not."""
    rows: list[PreviewRowDocument]
    """Up to 10 of these events for each decision, the newest first."""
    request: RequestDocument | None
    """Request that the draft would send for the chosen event; null if there is none, or it cannot be built."""
    request_event_id: str | None
    """Id of that event."""
    request_error: str | None
    """Why the request cannot be built."""


@value(frozen=True, slots=True)
class Asked:
    """The decision about an event."""

    event: Event
    explanation: Explanation
    before: bool | None

    @property
    def matches(self) -> bool:
        """Returns whether the draft matches."""
        return self.explanation.decision in MATCHING


@value(frozen=True, slots=True)
class _Looked:
    """The decisions, and the extent of the search."""

    asked: Sequence[Asked]
    complete: bool


class Previews:
    """Compares drafts with events of the history."""

    def __init__(
        self,
        records: SqlHistory,
        in_force: InForce,
        grounds: Grounds,
        build: Callable[[Hook], Target],
        *,
        bounds: Bounds,
    ) -> None:
        """`build` makes the target of a hook; `bounds` limit the parsing of event bodies."""
        self._records = records
        self._in_force = in_force
        self._grounds = grounds
        self._build = build
        self._bounds = bounds

    async def of(self, body: PreviewBody) -> PreviewDocument:
        """Returns the preview. Raises NotFound for an event or a hook that does not exist, HistoryUnavailable."""
        before = self._before(body.like)
        chosen = await self._event(body.event_id)
        hook, problems = await asyncio.to_thread(partial(self._draft, body.hook, before))
        look = None if hook is None else _Look(hook, before, self._in_force.table, self._bounds)
        looked = _Looked((), complete=False) if look is None else await self._look(look, body.source)
        shown = (
            chosen
            if chosen is not None
            else next((each.event for each in looked.asked if each.matches), None)
        )
        request: dict[str, Any] = {"request": None, "request_error": None}
        if hook is not None and shown is not None:
            request = await self._request(hook, problems, shown)
        return PreviewDocument.unchecked(
            problems=[PreviewProblemDocument.of(each) for each in problems],
            **_told(looked, compared=before is not None),
            **request,
            request_event_id=None if shown is None else shown.id,
        )

    async def built(self, tree: dict[str, Any], like: str | None) -> tuple[Hook, Target]:
        """Returns the hook of a draft without problems, and its target. Raises SettingsError, NotFound."""
        before = self._before(like)
        hook, problems = await asyncio.to_thread(partial(self._draft, tree, before))
        if hook is None or problems:
            raise SettingsError(problems)
        return hook, self._build(hook)

    def _before(self, like: str | None) -> SeenHook | None:
        before = None if like is None else seen_hook(self._in_force, like)
        if like is not None and before is None:
            raise NotFound("no hook has the name or id in `like`")
        return before

    async def _event(self, event_id: str | None) -> Event | None:
        if event_id is None:
            return None
        if not is_id(event_id):
            raise unfit([("event_id", "must be a UUID")])
        found = await self._records.event(event_id)
        if found is None:
            raise NotFound("no event has the id in `event_id`")
        return await asyncio.to_thread(partial(as_event, found[0], self._bounds))

    def _draft(self, tree: dict[str, Any], before: SeenHook | None) -> tuple[Hook | None, list[Problem]]:
        """Returns the hook, or one of the valid parts of the draft, and its problems; None if neither can be matched."""
        tree = {"name": "draft", **without_read_only(tree)}
        if before is not None:
            tree = replaced({**tree, "name": tree["name"] or before.hook.name}, before.hook.target)
        hook, problems = draft_of(tree, self._grounds)
        try:
            RoutingTable([] if hook is None else [hook])
        except ValueError:
            return None, problems
        # With an id: a hook of the API, which is restricted by the settings alone.
        return hook and hook.with_id("draft" if before is None else before.hook.id), problems

    async def _look(self, look: "_Look", source: str | None) -> _Looked:
        ends_at = time.monotonic() + PATIENCE
        asked: list[Asked] = []
        after: str | None = None
        while True:
            page = await self._records.whole_events(
                EventFilter(source=source), after=after, limit=_AT_ONCE, most_bytes=_MOST_BYTES
            )
            asked += await asyncio.get_running_loop().run_in_executor(
                _ASKING, partial(look.at, page.items, ends_at)
            )
            after = page.next
            if after is None or len(asked) >= MOST_LOOKED_AT or time.monotonic() >= ends_at:
                return _Looked(asked, complete=after is None and time.monotonic() < ends_at)

    async def _request(self, hook: Hook, problems: Sequence[Problem], event: Event) -> dict[str, Any]:
        if any(each.path.startswith("target") for each in problems):
            return {"request": None, "request_error": "the target is not valid"}
        try:
            target = self._build(hook)
        except SettingsError as error:
            return {"request": None, "request_error": error.problems[0].message}
        try:
            made = await asyncio.to_thread(target.preview, Delivery(event.id, event, hook.id))
        finally:
            await target.close()
        if isinstance(made, Preview):
            return {"request": RequestDocument.compared(made, ()), "request_error": None}
        return {"request": None, "request_error": made.error}


class _Look:
    """Asks the draft and the hook in force about events."""

    def __init__(self, hook: Hook, before: SeenHook | None, table: HookTable, bounds: Bounds) -> None:
        self._hook = hook
        self._draft = RoutingTable([hook])
        self._before = None if before is None else RoutingTable([before.hook])
        self._others = table.routing
        self._bounds = bounds

    def at(self, events: Sequence[KnownEvent], ends_at: float) -> list[Asked]:
        """Returns the decisions about these events, about fewer when the time is over."""
        return list(self._ask(events, ends_at))

    def _ask(self, events: Sequence[KnownEvent], ends_at: float) -> Iterator[Asked]:
        for number, known in enumerate(events):
            if number and time.monotonic() >= ends_at:
                return
            event = as_event(known, self._bounds)
            (found,) = self._draft.explain(event)
            if self._hook.unmatched and found.decision in MATCHING and self._is_taken(event):
                found = Explanation(found.hook, Decision.TAKEN, "another hook matches it")
            before = None if self._before is None else self._before.explain(event)[0].decision in MATCHING
            yield Asked(event, found, before)

    def _is_taken(self, event: Event) -> bool:
        hooks = self._others.match(event).hooks
        return any(each.id != self._hook.id and not each.unmatched for each in hooks)


def _told(looked: _Looked, *, compared: bool) -> dict[str, Any]:
    asked = looked.asked
    shown: Counter[Decision] = Counter()
    rows = []
    for each in asked:
        decision = each.explanation.decision
        shown[decision] += 1
        if shown[decision] <= _ROWS:
            rows.append(_row(each))
    return {
        "events": len(asked),
        "complete": looked.complete,
        "back_to": asked[-1].event.received_at if asked else None,
        "decisions": {decision.value: count for decision, count in shown.most_common()},
        "added": sum(each.matches and not each.before for each in asked) if compared else None,
        "removed": sum(bool(each.before) and not each.matches for each in asked) if compared else None,
        "rows": rows,
    }


def _row(asked: Asked) -> PreviewRowDocument:
    event, found = asked.event, asked.explanation
    return PreviewRowDocument.unchecked(
        event,
        event_id=event.id,
        event_type=event.type,
        decision=found.decision.value,
        reason=reason(found),
        matched_before=asked.before,
    )


_EXAMPLE = {
    "hook": {
        "events": ["customers.*"],
        "filter": "event.data.result == 'success'",
        "target": {"type": "webhook", "url": "https://crm.example.net/in"},
    }
}


class DraftTestBody(TestBody):
    """A draft of a hook, and the event of its test."""

    hook: dict[str, Any]
    """The hook as it would be created; its name may be missing."""
    like: str | None = Field(default=None, min_length=1, max_length=67)
    """Id or name of the hook that is edited: absent secrets are taken from it."""


class PreviewRoutes(OperationGroup):
    """The operations on drafts."""

    def __init__(self, previews: Previews, testing: Testing) -> None:
        self._previews = previews
        self._testing = testing

    @Operation(
        name="hooks.test_draft",
        method="POST",
        path="/v1/hooks/test",
        summary="Send a test event to the target of a draft of a hook; the response has the result",
        example=_EXAMPLE,
        role=Role.ADMIN,
        answers={200: TestedDocument},
        problems={
            SettingsError: lambda error, _: unfit(
                (f"hook.{each.path}", each.message) for each in error.problems
            ),
            NotNow: conflict,
        },
        refusals=frozenset({404, 409}),
    )
    async def _test(self, call: Call[Query, DraftTestBody]) -> Reply:
        body, (kind, data) = call.body, call.body.asked
        hook, target = await self._previews.built(body.hook, body.like)
        try:
            tested = await self._testing.send(hook, target, kind, data, event_id=body.event_id)
        finally:
            await target.close()
        return Reply(
            document=tested, changed={"id": hook.name, "outcome": tested.outcome, "target": hook.target.type}
        )

    @Operation(
        name="hooks.preview",
        method="POST",
        path="/v1/hooks/preview",
        summary="Preview a draft of a hook against the latest events; nothing is sent or stored",
        example=_EXAMPLE,
        answers={200: PreviewDocument},
        refusals=frozenset({404}),
        role=Role.OPERATOR,
        audited=False,
    )
    async def _preview(self, call: Call[Query, PreviewBody]) -> Reply:
        return Reply(document=await self._previews.of(call.body), size=LARGE)
