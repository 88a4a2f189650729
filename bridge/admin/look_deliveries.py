"""Deliveries of the history, as documents."""

from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from bridge.model.documents.deliveries import (
    AddressDocument,
    AttemptDocument,
    DeliveryAlone,
    DeliveryInList,
    HeaderDocument,
    LastAttemptDocument,
    RequestDocument,
    SentDocument,
)
from bridge.model.evidence import KnownEvidence
from bridge.ports.records import KnownAttempt, KnownDelivery, LastAttempt
from bridge.ports.target import Preview
from bridge.rules.formats.text import utc_seconds
from bridge.rules.wire.evidence import unfolded

# `model_construct` throughout: what is recorded is shown as it is, and never refused for what it holds.

NameOf = Callable[[str], str]
"""The name of the hook with an id; the id itself where there is none."""


def delivery_in_list(known: KnownDelivery, name_of: NameOf) -> DeliveryInList:
    """The delivery with the count of its attempts, and what the last of them came to."""
    return DeliveryInList.model_construct(
        **_common(known, name_of), attempts=known.attempts, last=_last(known.last)
    )


def delivery_alone(
    known: KnownDelivery, attempts: Sequence[KnownAttempt], target: AddressDocument | None, name_of: NameOf
) -> DeliveryAlone:
    """The delivery with every attempt, those before it was started anew first; `target` is where it goes."""
    return DeliveryAlone.model_construct(
        **_common(known, name_of),
        attempts=[
            _attempt(each) for each in sorted(attempts, key=lambda each: (each.generation, each.number))
        ],
        target=target,
    )


def request_document(preview: Preview, attempts: Sequence[KnownAttempt]) -> RequestDocument:
    """What would be sent now, compared with what the latest of these attempts sent."""
    now = unfolded(preview.evidence)
    told = [each for each in attempts if each.evidence is not None]
    last = max(told, key=lambda each: (each.generation, each.number), default=None)
    then = None if last is None else last.evidence
    try:
        text, encoded = preview.content.decode(), None
    except UnicodeDecodeError:
        text, encoded = None, b64encode(preview.content).decode()
    return RequestDocument.model_construct(
        **_sent(now),
        content_type=preview.content_type,
        body_text=text,
        body_base64=encoded,
        compared_with=None if last is None else last.number,
        same_body=None if then is None else then.body_sha256 == now.body_sha256,
        same_settings=None if then is None else then.settings == now.settings,
    )


def _common(known: KnownDelivery, name_of: NameOf) -> dict[str, Any]:
    return {
        "id": known.id,
        "event_id": known.event_id,
        "event_type": known.event_type,
        "hook": known.hook,
        "hook_name": name_of(known.hook),
        "status": known.status,
        "reason": known.reason or None,
        "created_at": utc_seconds(known.created_at),
        "updated_at": utc_seconds(known.updated_at),
        "next_attempt_at": _moment(known.next_attempt_at),
    }


def _attempt(known: KnownAttempt) -> AttemptDocument:
    evidence = known.evidence
    answered = None if evidence is None else evidence.answered
    return AttemptDocument.model_construct(
        number=known.number,
        generation=known.generation,
        started_at=utc_seconds(known.started_at),
        duration_ms=round(known.duration_ms, 3),
        outcome=known.outcome,
        status_code=known.status_code,
        response=known.response or None,
        error=known.error or None,
        request=None if evidence is None else SentDocument.model_construct(**_sent(evidence)),
        response_headers=None if answered is None else _headers(answered),
    )


def _sent(known: KnownEvidence) -> dict[str, Any]:
    return {
        "type": cast("Any", known.type),
        "to": known.to,
        "method": known.method,
        "headers": _headers(known.headers),
        "body_sha256": known.body_sha256,
        "settings": known.settings,
    }


def _headers(pairs: Iterable[tuple[str, str]]) -> list[HeaderDocument]:
    return [HeaderDocument.model_construct(name=name, value=value) for name, value in pairs]


def _last(known: LastAttempt | None) -> LastAttemptDocument | None:
    if known is None:
        return None
    return LastAttemptDocument.model_construct(
        at=utc_seconds(known.at),
        duration_ms=round(known.duration_ms, 3),
        outcome=known.outcome,
        status_code=known.status_code,
        error=known.error or None,
    )


def _moment(at: float | None) -> str | None:
    return None if at is None else utc_seconds(at)
