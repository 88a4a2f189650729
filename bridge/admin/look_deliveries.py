"""Deliveries of the history, as documents."""

from collections.abc import Sequence

from bridge.model.documents import AddressDocument, AttemptDocument, DeliveryAlone, DeliveryInList
from bridge.ports.records import KnownAttempt, KnownDelivery
from bridge.rules.formats.text import utc_seconds

# `model_construct` throughout: what is recorded is shown as it is, and never refused for what it holds.


def delivery_in_list(known: KnownDelivery) -> DeliveryInList:
    """The delivery with the count of its attempts."""
    return DeliveryInList.model_construct(
        id=known.id,
        event_id=known.event_id,
        event_type=known.event_type,
        hook=known.hook,
        status=known.status,
        reason=known.reason or None,
        created_at=utc_seconds(known.created_at),
        updated_at=utc_seconds(known.updated_at),
        next_attempt_at=_moment(known.next_attempt_at),
        attempts=known.attempts,
    )


def delivery_alone(
    known: KnownDelivery, attempts: Sequence[KnownAttempt], target: AddressDocument | None
) -> DeliveryAlone:
    """The delivery with every attempt, those before it was started anew first; `target` is where it goes."""
    return DeliveryAlone.model_construct(
        id=known.id,
        event_id=known.event_id,
        event_type=known.event_type,
        hook=known.hook,
        status=known.status,
        reason=known.reason or None,
        created_at=utc_seconds(known.created_at),
        updated_at=utc_seconds(known.updated_at),
        next_attempt_at=_moment(known.next_attempt_at),
        attempts=[
            _attempt(each) for each in sorted(attempts, key=lambda each: (each.generation, each.number))
        ],
        target=target,
    )


def _attempt(known: KnownAttempt) -> AttemptDocument:
    return AttemptDocument.model_construct(
        number=known.number,
        generation=known.generation,
        started_at=utc_seconds(known.started_at),
        duration_ms=round(known.duration_ms, 3),
        outcome=known.outcome,
        status_code=known.status_code,
        response=known.response or None,
        error=known.error or None,
    )


def _moment(at: float | None) -> str | None:
    return None if at is None else utc_seconds(at)
