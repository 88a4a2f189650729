"""The inspection of a message: how it is decoded, and which hooks ask for each of its events."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bridge.core.event import Event, Message, Received, Source, Undecodable
from bridge.expressions.engine import EvaluationError
from bridge.formats.decoder import Decoder
from bridge.formats.registry import attributes_of, envelope_of
from bridge.formats.text import utc_text
from bridge.routing.dedupe_keys import Keys
from bridge.routing.table import MATCHING, Decision, Explanation, RoutingTable


@dataclass(frozen=True, slots=True)
class BatchPosition:
    """The position of an event in its message, from 1."""

    position: int
    events: int


@dataclass(frozen=True, slots=True)
class EventKey:
    """The deduplication key of an event; None: it has no key, and the reason if that is a fault."""

    key: str | None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class ExplainedEvent:
    """An event with the decision of each hook, or the reason why there is no event; `place` only if a message has several,
    `keyed` if its source has `dedupe`.
    """

    found: Event | Undecodable
    hooks: tuple[Explanation, ...] = ()
    place: BatchPosition | None = None
    keyed: EventKey | None = None


def inspect(
    message: Message,
    decoder: Decoder,
    table: RoutingTable | None,
    *,
    new_id: Callable[[], str],
    received_at: float,
    keys: Keys | None = None,
) -> list[ExplainedEvent]:
    """Returns one finding for each event of the message, in order; nothing is delivered. `table` None: no hooks, `keys` None:
    no `dedupe`.
    """
    received = decoder.decode(message, new_id=new_id, received_at=received_at)
    return list(_each(received, table, keys))


def source_of(sources: Sequence[Source], message: Message) -> Source | None:
    """Returns the source of the message: the only one, or the one whose queue the message names; None if unknown."""
    if len(sources) == 1:
        return sources[0]
    for queue in (message.routing_key, message.headers.get("x-first-death-queue")):
        for source in sources:
            if source.queue == queue:
                return source
    return None


def _each(received: Received, table: RoutingTable | None, keys: Keys | None) -> Iterator[ExplainedEvent]:
    total = len(received.events) + len(received.refused)
    refused = {each.position: each.why for each in received.refused}
    events = iter(zip(received.events, _keyed(keys, received), strict=True))
    for position in range(total):
        place = BatchPosition(position + 1, total) if received.is_batch else None
        if position in refused:
            yield ExplainedEvent(refused[position], place=place)
        else:
            event, keyed = next(events)
            yield ExplainedEvent(event, _explained(table, event), place, keyed)


def _keyed(keys: Keys | None, received: Received) -> list[EventKey | None]:
    if keys is None:
        return [None] * len(received.events)
    return [
        EventKey(None, key.detail) if isinstance(key, EvaluationError) else EventKey(key)
        for _, key in keys.of_all(received)
    ]


def _explained(table: RoutingTable | None, event: Event) -> tuple[Explanation, ...]:
    return () if table is None else tuple(table.explain(event))


# The findings as objects for JSON.


def as_object(finding: ExplainedEvent, *, configured: bool) -> dict[str, Any]:
    """Returns the finding as a JSON object; `configured`: source and hooks are from a configuration."""
    place = (
        {} if finding.place is None else {"position": finding.place.position, "events": finding.place.events}
    )
    if isinstance(finding.found, Undecodable):
        return {"quarantined": finding.found.reason, "detail": finding.found.detail, **place}
    event = finding.found
    seen: dict[str, Any] = {
        "format": event.format,
        "type": event.type,
        "publisher_id": event.publisher_id,
        "time": event.time,
        "data": event.data,
        "source": event.source if configured else None,
        "webhook_id": event.webhook_id if configured and event.publisher_id else None,
        "identity": event.identity,
        "headers": event.message.headers,
        "content_type": event.message.content_type,
        **place,
    }
    seen |= beside_data(event)
    if event.data_fault:
        seen["data_fault"] = event.data_fault
    if deaths := dead_letters(event.message):
        seen["dead_letters"] = deaths
    if finding.keyed is not None:
        seen["dedupe_key"] = finding.keyed.key
        if finding.keyed.fault:
            seen["dedupe_fault"] = finding.keyed.fault
    if configured:
        seen["hooks"] = [decision(each) for each in finding.hooks]
    return seen


def beside_data(event: Event) -> dict[str, Any]:
    """Returns `attributes` of a CloudEvent, and `envelope` if it is more than the data."""
    attributes, envelope = attributes_of(event), envelope_of(event)
    found: dict[str, Any] = {"attributes": attributes} if attributes else {}
    return found if envelope is event.data else found | {"envelope": envelope}


def decision(explanation: Explanation) -> dict[str, Any]:
    """Returns the decision of one hook."""
    return {
        "hook": explanation.hook.id,
        "matches": explanation.decision in MATCHING,
        "decision": explanation.decision.value,
        "reason": reason(explanation),
    }


def reason(explanation: Explanation) -> str:
    """Returns the description of a decision."""
    if explanation.decision is Decision.DISABLED:
        return f"{explanation.detail}, but the hook is disabled: the delivery is recorded SKIPPED"
    if explanation.decision is Decision.MATCH and explanation.hook.fault is not None:
        return f"{explanation.detail}; the hook is broken: the delivery waits in its lane until it is mended"
    if explanation.decision is Decision.MATCH and explanation.hook.paused:
        return f"{explanation.detail}; the hook is paused: the delivery waits in its lane"
    return explanation.detail


def dead_letters(message: Message) -> list[dict[str, Any]]:
    """Returns where the broker dead-lettered the message before, the latest first, from its headers."""
    deaths = message.headers.get("x-death")
    if isinstance(deaths, list) and deaths:
        return [_as_death(each) for each in deaths if isinstance(each, Mapping)]
    first = {
        key: message.headers.get(f"x-first-death-{key}")
        for key in ("queue", "reason", "exchange")
        if f"x-first-death-{key}" in message.headers
    }
    return [first] if first else []


def _as_death(death: Mapping[str, Any]) -> dict[str, Any]:
    known = {"queue", "reason", "count", "exchange", "routing-keys", "time"}
    return {name.replace("-", "_"): death[name] for name in death if name in known} | {
        "time": _death_time(death.get("time"))
    }


def _death_time(value: Any) -> str | None:
    """Returns the time as text, from an AMQP timestamp, or from Unix seconds if the message was written as JSON."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            value = datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError):
            return None
    return utc_text(value) if isinstance(value, datetime) else value if isinstance(value, str) else None
