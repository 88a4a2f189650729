"""What was sent to webhooks, as Phlix's log of dispatches and its records of deliveries show it, in one."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

from bridge.admin.phlix import moment, shown_url, webhook_id
from bridge.model.delivery import Status
from bridge.model.documents.phlix import DispatchRow
from bridge.model.hook import Hook
from bridge.ports.records import DeliveryFilter, KnownAttempt, KnownDelivery, Records

MOST = 50
"""Rows in one answer: each is read with its attempts."""

_STATUS: Mapping[Status, Literal["pending", "delivered", "failed"]] = {
    Status.PENDING: "pending",
    Status.RETRYING: "pending",
    Status.SUCCESS: "delivered",
    Status.FAILED: "failed",
    Status.SKIPPED: "failed",
}


async def dispatches_to(records: Records, hook: Hook, event_id: str | None) -> list[DispatchRow]:
    """The latest to a webhook, or those of one event; raises HistoryUnavailable."""
    return await _rows(records, DeliveryFilter(hook=hook.id, event_id=event_id), {hook.id: hook})


async def dispatches_of(records: Records, hooks: Mapping[str, Hook], event_id: str) -> list[DispatchRow]:
    """Those of an event to these hooks, by their ids; raises HistoryUnavailable."""
    return await _rows(records, DeliveryFilter(event_id=event_id), hooks)


async def _rows(records: Records, which: DeliveryFilter, hooks: Mapping[str, Hook]) -> list[DispatchRow]:
    page = await records.deliveries(which, after=None, limit=MOST)
    rows = []
    for known in page.items:
        if (hook := hooks.get(known.hook)) is not None:
            delivery, attempts = await records.delivery(known.id) or (known, ())
            rows.append(_row(delivery, attempts, hook))
    return rows


def _row(known: KnownDelivery, attempts: Sequence[KnownAttempt], hook: Hook) -> DispatchRow:
    last = attempts[-1] if attempts else None
    delivered = known.status is Status.SUCCESS
    return DispatchRow(
        id=known.id,
        webhook_id=webhook_id(hook.id),
        webhook_url=shown_url(hook),
        event_id=known.event_id,
        event_type=known.event_type,
        attempt=known.attempts,
        status=_STATUS[known.status],
        response_code=None if last is None else last.status_code,
        response_body=(last.response or None) if last is not None else None,
        error_message=None if delivered else (last.error if last is not None else "") or known.reason or None,
        triggered_at=moment(known.created_at if last is None else last.started_at),
        next_retry_at=None if known.next_attempt_at is None else _atom(known.next_attempt_at),
        created_at=_atom(known.created_at),
        delivered_at=_atom(known.updated_at) if delivered else None,
    )


def _atom(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).isoformat()
