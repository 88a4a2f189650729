"""Events and quarantined messages of the history, as documents."""

from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bridge.admin.findings import beside_data
from bridge.admin.look_deliveries import NameOf, delivery_in_list
from bridge.model.delivery import Status
from bridge.model.documents import EventInList, QuarantinedInList
from bridge.model.event import TEXT_PROPERTIES, Content, Event, Message
from bridge.ports.quarantine import KnownQuarantined
from bridge.ports.records import EventStatus, KnownDelivery, KnownEvent
from bridge.rules.bodies.body import data_member
from bridge.rules.formats.content import content_of
from bridge.rules.formats.parse import Bounds
from bridge.rules.formats.text import utc_seconds, utc_text


def event_in_list(known: KnownEvent) -> EventInList:
    """The event without what it holds."""
    return EventInList.model_construct(
        status=(known.status or EventStatus.UNMATCHED).value,
        id=known.id,
        source=known.source,
        type=known.type,
        format=known.format,
        publisher_id=known.publisher_id,
        webhook_id=known.webhook_id,
        time=known.time,
        received_at=utc_seconds(known.received_at),
        identity=known.identity,
        counts=None if known.counts is None else dict(known.counts),
    )


def as_event(known: KnownEvent, bounds: Bounds | None) -> Event:
    """The event as it was routed; `bounds`: what of its body is parsed, None: its data are not wanted."""
    return known.as_routed(Content() if bounds is None else content_of(known.message, known.format, bounds))


def event_alone(
    known: KnownEvent,
    event: Event,
    deliveries: Sequence[KnownDelivery],
    name_of: NameOf,
    hooks: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """The EventAlone; `event` is that of `as_event`, `hooks` are DecisionDocuments where they were asked for."""
    key, content = data_member(event)
    # What filters can name, beside the reasons that may name it; it is nearly the whole body once more.
    decisions = {} if hooks is None else {**beside_data(event), "hooks": hooks}
    return {
        **event_in_list(_told(known, deliveries)).model_dump(),
        **_envelope(known.message),
        key: content,
        "data_fault": event.data_fault or None,
        "deliveries": [delivery_in_list(each, name_of).model_dump() for each in deliveries],
        **decisions,
    }


def _told(known: KnownEvent, deliveries: Sequence[KnownDelivery]) -> KnownEvent:
    return replace(known, status=_status(deliveries), counts=Counter(each.status for each in deliveries))


def _status(deliveries: Sequence[KnownDelivery]) -> EventStatus:
    if not deliveries:
        return EventStatus.UNMATCHED
    skipped = all(each.status is Status.SKIPPED for each in deliveries)
    return EventStatus.SKIPPED if skipped else EventStatus.MATCHED


def quarantined_in_list(known: KnownQuarantined) -> QuarantinedInList:
    """The message in quarantine without what it holds."""
    return QuarantinedInList.model_construct(
        id=known.id,
        source=known.source,
        reason=known.reason,
        detail=known.detail,
        quarantined_at=utc_seconds(known.at),
    )


def quarantined_alone(known: KnownQuarantined) -> dict[str, Any]:
    """The QuarantinedAlone."""
    body = known.message.body
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = None
    return {
        **quarantined_in_list(known).model_dump(),
        **_envelope(known.message),
        "body_base64": b64encode(body).decode(),
        "body_text": text,
    }


def _envelope(message: Message) -> dict[str, Any]:
    """Where and how it was published; `inspect --message` and /api/v1/explain understand it."""
    return {
        "exchange": message.exchange,
        "routing_key": message.routing_key,
        "properties": _properties(message),
        "headers": message.headers,
        "redelivered": message.redelivered,
    }


def _properties(message: Message) -> dict[str, str | int]:
    texts = ((name, getattr(message, name)) for name in TEXT_PROPERTIES)
    found: dict[str, str | int] = {name: text for name, text in texts if text is not None}
    if message.priority is not None:
        found["priority"] = message.priority
    if message.timestamp is not None and (moment := utc_text(message.timestamp)):
        found["timestamp"] = moment
    return found
