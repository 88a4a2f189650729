"""The explanation of routing with the present table: for a stored event, or for a message that was not published."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from bridge.core.base import value
from bridge.core.errors import BridgeError, Problem, SettingsError
from bridge.core.event import Event, Message, Source
from bridge.events.inspection import as_object, decision, inspect, source_of
from bridge.events.message_json import described
from bridge.formats.decoder import Decoder
from bridge.hooks.documents import SourceDocument
from bridge.hooks.presenter import breaker_word
from bridge.http.body import LARGE, aside, body_in_time
from bridge.http.documents import PageDocument
from bridge.http.input import PageQuery, Query, invalid, page_by_key
from bridge.http.operation import Call, Operation, OperationGroup, Reply, reading
from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.hook_worker import HookWorker
from bridge.routing.dedupe_keys import keyed_by
from bridge.routing.table import Decision, Explanation
from bridge.settings.shape import nearest


@value(frozen=True, slots=True)
class ExplainRequest:
    """A message to explain; `source` is the given source, None if there is none."""

    message: Message
    source: Any
    notes: list[str]


def asked(text: bytes) -> ExplainRequest:
    """Returns the message written as for `inspect --message`, with `source` beside it.

    Raises SettingsError, with the path, if the text is not such a message.
    """
    notes: list[str] = []
    message, further = described(text, "", notes.append, ("source",))
    return ExplainRequest(message, further.get("source"), notes)


class Explain:
    """Evaluates every hook in force, without delivering or counting."""

    def __init__(
        self,
        table: HookTable,
        sources: Sequence[Source],
        decoders: Mapping[str, Decoder],
        new_id: Callable[[], str],
    ) -> None:
        """`decoders` has one for each source, by name."""
        self._table = table
        self._sources = sources
        self._decoders = decoders
        self._new_id = new_id
        self._keys = {source.name: keyed_by(source) for source in sources}

    def event(self, event: Event) -> list[dict[str, Any]]:
        """Returns the decision of each hook as DecisionDocuments, in the order of the table."""
        return [self._decided(each) for each in self._table.routing.explain(event)]

    def message(self, asked: ExplainRequest) -> dict[str, Any]:
        """Returns how a message would be decoded and routed.

        The members are `source`, `events` (for each event the object that `inspect --json` prints) and `notes` on names that
        were ignored. Raises SettingsError if its source cannot be determined.
        """
        source = self._source(asked.message, asked.source)
        findings = inspect(
            asked.message,
            self._decoders[source.name],
            self._table.routing,
            new_id=self._new_id,
            received_at=time.time(),
            keys=self._keys[source.name],
        )
        events = []
        for finding in findings:
            seen = as_object(finding, configured=True)
            if isinstance(finding.found, Event):
                seen["hooks"] = [self._decided(each) for each in finding.hooks]
            events.append(seen)
        return {"source": source.name, "events": events, "notes": asked.notes}

    def _source(self, message: Message, name: Any) -> Source:
        known = {source.name: source for source in self._sources}
        if isinstance(name, str) and name in known:
            return known[name]
        if name is not None:
            hint = nearest(name, list(known)) if isinstance(name, str) else "; it must be a name"
            raise _problem(f"no such source{hint}")
        if (source := source_of(self._sources, message)) is None:
            raise _problem(f"say which source the message would come from: {', '.join(known)}")
        return source

    def _decided(self, explanation: Explanation) -> dict[str, Any]:
        decided = decision(explanation) | {"hook_name": explanation.hook.name}
        runner = self._table.get(explanation.hook.id)
        if explanation.decision is Decision.MATCH and runner is not None:
            decided["reason"] += _now(runner)
        return decided


def _now(runner: HookWorker) -> str:
    """Returns what prevents deliveries to the hook at present, beside its configuration."""
    if runner.target is None:
        return "; this process does not serve its target: the delivery waits in its lane"
    if runner.hook.paused:
        return ""  # the decision has it
    if runner.pause_reason:
        return f"; the hook is paused ({runner.pause_reason}): the delivery waits in its lane"
    if breaker_word(runner) != "closed":
        return "; its breaker is open: the delivery waits in its lane"
    return ""


def _problem(message: str) -> SettingsError:
    return SettingsError([Problem("source", message)])


# The documents of sources: configuration, and present state on the broker and in this process.


_PATIENCE = 2.0
"""Seconds that the broker may take to count."""

Counts = Callable[[Sequence[str]], Awaitable[Mapping[str, tuple[int, int]]]]
"""Returns the ready messages and consumers of each of these queues that exists; raises a BridgeError."""


class Consumed(Protocol):
    """The state of consumption in this process."""

    def state(self) -> Mapping[str, str]:
        """Returns the state by source name: consuming, connecting, or left."""

    def held(self) -> Mapping[str, tuple[int, int]]:
        """Returns the messages held and the prefetch, by source name."""


async def source_documents(
    sources: Sequence[Source], consumed: Consumed, counts: Counts
) -> list[SourceDocument]:
    """Returns the documents of these sources; figures that the broker does not provide within two seconds are null."""
    counted = await _counted([source.queue for source in sources], counts)
    states, held = consumed.state(), consumed.held()
    return [
        SourceDocument.of(source, states[source.name], held[source.name][0], counted.get(source.queue))
        for source in sources
    ]


async def _counted(queues: Sequence[str], counts: Counts) -> Mapping[str, tuple[int, int]]:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await counts(queues)
    except (BridgeError, TimeoutError):
        return {}


# The operations on the present state: sources, and the explanation of routing.


_CURSOR = re.compile(r"[A-Za-z0-9_-]{1,67}")


class LiveRoutes(OperationGroup):
    """The operations that read the present state."""

    def __init__(
        self,
        sources: Sequence[Source],
        explain: Explain,
        *,
        consumed: Consumed,
        counts: Counts,
    ) -> None:
        self._sources = sources
        self._explain = explain
        self._consumed = consumed
        self._counts = counts

    @reading("sources.list", "/v1/sources", "List sources with their queues")
    async def _list_sources(self, call: Call[PageQuery, None]) -> PageDocument[SourceDocument]:
        found, following = page_by_key(call.query, self._sources, lambda source: source.name, _CURSOR)
        return PageDocument.of(await source_documents(found, self._consumed, self._counts), following)

    @Operation(
        name="explain.message",
        method="POST",
        path="/v1/explain",
        summary="Explain which hooks match a message, and why; nothing is delivered or recorded",
        body=dict[str, Any],
        read=body_in_time,
        answers={200: dict[str, Any]},
        problems={
            SettingsError: lambda error, _: invalid((each.path, each.message) for each in error.problems)
        },
        audited=False,
    )
    async def _explain_message(self, call: Call[Query, bytes]) -> Reply:
        what = await aside(partial(asked, call.body), len(call.body))
        return Reply(document=await aside(partial(self._explain.message, what), LARGE), size=LARGE)
