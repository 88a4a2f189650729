"""What was sent to webhooks, as Phlix's log of dispatches shows it."""

from collections.abc import Mapping, Sequence
from typing import Literal

from bridge.admin.phlix import moment, webhook_id
from bridge.model.delivery import Status
from bridge.model.documents.phlix import DispatchRow
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


async def dispatches(records: Records, hook_id: str, event_id: str | None, limit: int) -> list[DispatchRow]:
    """The latest for a hook, or for one event of it; raises HistoryUnavailable."""
    which = DeliveryFilter(hook=hook_id, event_id=event_id)
    page = await records.deliveries(which, after=None, limit=limit)
    rows = []
    for known in page.items:
        found = await records.delivery(known.id)
        rows.append(_row(*(found or (known, ()))))
    return rows


def _row(known: KnownDelivery, attempts: Sequence[KnownAttempt]) -> DispatchRow:
    last = attempts[-1] if attempts else None
    error = last.error if last is not None else ""
    return DispatchRow(
        id=known.id,
        webhook_id=webhook_id(known.hook),
        event_id=known.event_id,
        event_type=known.event_type,
        status=_STATUS[known.status],
        response_code=None if last is None else last.status_code,
        response_body=(last.response or None) if last is not None else None,
        error_message=(error or known.reason or None) if known.status is not Status.SUCCESS else None,
        triggered_at=moment(known.created_at if last is None else last.started_at),
    )
