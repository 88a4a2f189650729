"""The conversion of entries to rows: flat tuples in the order of the tables' columns, one for each key."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

import orjson

from bridge.core.delivery import (
    FINAL,
    Attempt,
    Counted,
    Delivery,
    Entry,
    Evidence,
    Finished,
    Form,
    Quarantined,
    Reached,
    Record,
    Unkept,
    Unmatched,
)
from bridge.core.event import Event
from bridge.db.text import headers_json, is_plain, properties_json, storable, storable_bytes
from bridge.measuring.dimensions import key_of

EventRow = tuple[
    str, str, str, str, str | None, str, str | None, float, str | None,
    str, str, str | None, str | None, bytes, str | None,
]  # fmt: skip
DeliveryRow = tuple[str, str, str, str, str, str, int, int, float, float, float | None, str]
AttemptRow = tuple[str, int, int, float, float, str, int | None, str, str, str | None, str | None]
QuarantineRow = tuple[
    str, str, str, str, float, str, str, str | None, str | None, bytes, str | None
]  # fmt: skip

FINAL_STATUSES = frozenset(str(status) for status in FINAL)


@dataclass(slots=True)
class Rows:
    """The rows of one batch by their primary keys."""

    events: dict[str, EventRow] = field(default_factory=dict)
    deliveries: dict[str, DeliveryRow] = field(default_factory=dict)
    attempts: dict[tuple[str, int, int], AttemptRow] = field(default_factory=dict)
    quarantine: dict[str, QuarantineRow] = field(default_factory=dict)
    forms: dict[str, Form] = field(default_factory=dict)
    """The forms that the evidence of the attempts references, by id."""
    dimensions: dict[tuple[str, str, str], tuple[str, str, str]] = field(default_factory=dict)
    """Dimension, key and event of each entry in the search by dimensions."""
    unkept: list[Record] = field(default_factory=list)
    """Records of which no rows are written: like the following entries, they count in the sums only."""
    counted: list[Counted] = field(default_factory=list)
    finished: list[tuple[str, str]] = field(default_factory=list)
    """Claims that are done, by digest and event."""
    reached: list[Reached] = field(default_factory=list)


def rows_of(entries: Iterable[Entry]) -> Rows:
    """Returns the rows of `entries`; of two rows with one key the one that would remain in the database."""
    rows = Rows()
    for entry in entries:
        match entry:
            case Record():
                _add_event(rows, entry.delivery.event)
                _add_delivery(rows, entry)
                if entry.attempt is not None:
                    _add_attempt(rows, entry.delivery, entry.attempt)
            case Unmatched():
                _add_event(rows, entry.event)
            case Quarantined():
                rows.quarantine.setdefault(entry.id, _quarantine_row(entry))
            case Unkept(record=record):
                rows.unkept.append(record)
            case Counted():
                rows.counted.append(entry)
                _add_dimensions(rows, entry)
            case Finished(claims=claims):
                rows.finished += claims
            case Reached():
                rows.reached.append(entry)
            case _:
                assert_never(entry)
    return rows


def supersedes(new: DeliveryRow, old: DeliveryRow) -> bool:
    """Returns whether `new` replaces `old`; bridge.db.upserts has the same rule in SQL.

    A higher generation always does. Within a generation, a final status stays and wins, whatever the order of commits; else
    more attempts win, and with as many the later change.
    """
    if new[6] != old[6]:
        return new[6] > old[6]
    if old[4] in FINAL_STATUSES:
        return False
    return new[4] in FINAL_STATUSES or (new[7], new[9]) >= (old[7], old[9])


def _add_event(rows: Rows, event: Event) -> None:
    if event.id in rows.events:
        return
    message = event.message
    kind, publisher_id, webhook_id, time, identity, exchange, routing_key, escaped = _event_texts(event)
    rows.events[event.id] = (
        event.id, event.source, kind, event.format, publisher_id, webhook_id, time, event.received_at, identity,
        exchange, routing_key, properties_json(message), headers_json(message.headers), message.body, escaped,
    )  # fmt: skip


def _event_texts(event: Event) -> tuple[str, str | None, str, str | None, str | None, str, str, str | None]:
    """Returns the texts from publishers in storable form, and the names of those that were escaped."""
    message = event.message
    found = (
        event.type, event.publisher_id, event.webhook_id, event.time, event.identity,
        message.exchange, message.routing_key,
    )  # fmt: skip
    if is_plain("{}{}{}{}{}{}{}".format(*found)):  # one check of all of them, which nearly always suffices
        return (*found, None)
    kind, publisher_id, webhook_id, time, identity, exchange, routing_key = found
    stored = (
        storable(kind), publisher_id and storable(publisher_id), storable(webhook_id), time and storable(time),
        identity and storable(identity), storable(exchange), storable(routing_key),
    )  # fmt: skip
    return (*stored, _names(_EVENT_TEXTS, found, stored))


_EVENT_TEXTS = ("type", "publisher_id", "webhook_id", "time", "identity", "exchange", "routing_key")


def _add_delivery(rows: Rows, record: Record) -> None:
    delivery, attempt = record.delivery, record.attempt
    row = (
        delivery.id, delivery.event.id, delivery.hook, record.target, str(record.status), storable(record.reason),
        delivery.generation, attempt.number if attempt is not None else delivery.attempt - 1,
        delivery.event.received_at, record.at, record.next_attempt_at, rows.events[delivery.event.id][2],
    )  # fmt: skip
    old = rows.deliveries.get(delivery.id)
    if old is None or supersedes(row, old):
        rows.deliveries[delivery.id] = row


def _add_attempt(rows: Rows, delivery: Delivery, attempt: Attempt) -> None:
    key = (delivery.id, delivery.generation, attempt.number)
    if key in rows.attempts:
        return
    response, escaped = storable_bytes(attempt.response)
    error = storable(attempt.error)
    flag: str | None = "response" if escaped else None
    if error != attempt.error:
        flag = "response,error" if escaped else "error"
    rows.attempts[key] = (
        *key, attempt.started_at, attempt.duration_ms, attempt.outcome, attempt.code, response, error, flag,
        None if attempt.evidence is None else _evidence(rows, attempt.evidence),
    )  # fmt: skip


def _evidence(rows: Rows, evidence: Evidence) -> str:
    """Returns the evidence as ASCII JSON: the ids of its forms, the body's digest, and the values that vary."""
    sent, heard = evidence.sent, evidence.heard
    rows.forms[sent.id] = sent
    if heard is not None:
        rows.forms[heard.id] = heard
    told = [sent.id, None if heard is None else heard.id, evidence.digest, *evidence.values]
    return orjson.dumps(told).decode()


def _add_dimensions(rows: Rows, counted: Counted) -> None:
    for name, value in counted.values.items():
        if (key := key_of(value)) is not None:
            row = (name, storable(key), counted.event.id)
            rows.dimensions[row] = row


def _quarantine_row(entry: Quarantined) -> QuarantineRow:
    message = entry.message
    found = (entry.source, entry.detail, message.exchange, message.routing_key)
    stored = source, detail, exchange, routing_key = tuple(storable(text) for text in found)
    return (
        entry.id, source, entry.reason, detail, entry.at, exchange, routing_key,
        properties_json(message), headers_json(message.headers), message.body,
        _names(("source", "detail", "exchange", "routing_key"), found, stored),
    )  # fmt: skip


def _names(
    names: tuple[str, ...], found: tuple[str | None, ...], stored: tuple[str | None, ...]
) -> str | None:
    """Returns the columns whose text was escaped, separated by commas."""
    changed = [name for name, was, now in zip(names, found, stored, strict=True) if was != now]
    return ",".join(changed) or None
