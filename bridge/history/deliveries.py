"""Queries for deliveries: in pages, and one with its attempts."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial

import orjson
from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, select

from bridge.core.delivery import KnownEvidence, Status
from bridge.core.event import Message
from bridge.core.records import (
    Beyond,
    DeliveryFilter,
    KnownAttempt,
    KnownDelivery,
    KnownEvent,
    KnownQuarantined,
    LastAttempt,
    Page,
)
from bridge.db import scan
from bridge.db.tables import attempts, deliveries, events, evidence_forms
from bridge.db.text import headers_of, original, properties_of
from bridge.db.upserts import padded
from bridge.history import lists
from bridge.wire.evidence import told

# Conversion of rows to the values they store (bridge.db.rows).


Row = RowMapping


def delivery_of(row: Row, last: LastAttempt | None) -> KnownDelivery:
    """Returns the delivery of a row of `deliveries`, joined with `type` and `escaped` of its event."""
    return KnownDelivery(
        id=row["id"], event_id=row["event_id"], event_type=_text(row, "type"), hook=row["hook"],
        target=row["target"], status=Status(row["status"]), reason=row["reason"], generation=row["generation"],
        attempts=row["attempts"], created_at=row["created_at"], updated_at=row["updated_at"],
        next_attempt_at=row["next_attempt_at"], last=last,
    )  # fmt: skip


def last_of(row: Row) -> LastAttempt:
    """Returns the last attempt from a row of `attempts`, without its large columns."""
    return LastAttempt(
        at=row["started_at"], duration_ms=row["duration_ms"], outcome=row["outcome"],
        status_code=row["status_code"], error=_text(row, "error"),
    )  # fmt: skip


def attempt_of(row: Row, forms: Mapping[str, str]) -> KnownAttempt:
    r"""Returns the attempt of a row of `attempts` and the forms of its evidence.

    Response bytes that are not UTF-8 are escaped as `\xff`.
    """
    response: str = row["response"]
    if _is_escaped(row, "response"):
        response = original(response).decode(errors="backslashreplace")
    return KnownAttempt(
        number=row["number"], generation=row["generation"], started_at=row["started_at"],
        duration_ms=row["duration_ms"], outcome=row["outcome"], status_code=row["status_code"],
        response=response, error=_text(row, "error"),
        evidence=None if row["evidence"] is None else _evidence_of(row["evidence"], forms),
    )  # fmt: skip


def forms_of(row: Row) -> list[str]:
    """Returns the ids of the forms that a row of `attempts` references."""
    return [] if row["evidence"] is None else [one for one in orjson.loads(row["evidence"])[:2] if one]


def _evidence_of(text: str, forms: Mapping[str, str]) -> KnownEvidence | None:
    sent, heard, digest, *values = orjson.loads(text)
    if sent not in forms or (heard is not None and heard not in forms):
        return None  # the form was deleted by hand
    return told(forms[sent], forms[heard] if heard else None, digest, values)


def event_of(row: Row) -> KnownEvent:
    """Returns the event of a row of `events`."""
    return KnownEvent(
        id=row["id"], source=row["source"], type=_text(row, "type"), format=row["format"],
        publisher_id=_optional(row, "publisher_id"), webhook_id=_text(row, "webhook_id"),
        time=_optional(row, "time"), received_at=row["received_at"], identity=_optional(row, "identity"),
        message=_message_of(row),
    )  # fmt: skip


def quarantined_of(row: Row) -> KnownQuarantined:
    """Returns the message of a row of `quarantine`."""
    return KnownQuarantined(
        id=row["id"], source=_text(row, "source"), reason=row["reason"], detail=_text(row, "detail"),
        at=row["quarantined_at"], message=_message_of(row),
    )  # fmt: skip


def _message_of(row: Row) -> Message:
    exchange, routing_key = _text(row, "exchange"), _text(row, "routing_key")
    if "body" not in row:  # lists omit large columns
        return Message(b"", exchange, routing_key)
    return Message(
        body=bytes(row["body"]),
        exchange=exchange,
        routing_key=routing_key,
        headers=headers_of(row["headers"]),
        **properties_of(row["properties"]),
    )


def _optional(row: Row, name: str) -> str | None:
    return None if row[name] is None else _text(row, name)


def _text(row: Row, name: str) -> str:
    text: str = row[name]
    return original(text).decode(errors="surrogatepass") if _is_escaped(row, name) else text


def _is_escaped(row: Row, name: str) -> bool:
    return row["escaped"] is not None and name in row["escaped"].split(",")


def page(
    connection: Connection, which: DeliveryFilter, *, after: str | None = None, limit: int
) -> Page[KnownDelivery]:
    """Returns the newest `limit` matching deliveries, or those after the cursor `after`; ValueError for an invalid cursor."""
    found = _found(connection, which, after, limit + 1)
    keys, more = found.keys[:limit], len(found.keys) > limit
    last = keys[-1] if more else found.horizon
    return Page(_read(connection, which, keys), scan.cursor(_kind(which), last) if last is not None else None)


def beyond(connection: Connection, which: DeliveryFilter, after: str) -> Beyond:
    """Returns how many matching deliveries follow the cursor `after`; ValueError for an invalid cursor."""
    return scan.beyond_page(_found(connection, which, after, scan.MOST_COUNTED + 1))


def one(connection: Connection, delivery_id: str) -> tuple[KnownDelivery, Sequence[KnownAttempt]] | None:
    """Returns the delivery with the attempts of all its generations, in the order in which they were made."""
    known = scan.as_id(delivery_id)
    found = _rows(connection, deliveries.c.id == known) if known is not None else ()
    if not found:
        return None
    c = attempts.c
    tried = select(attempts).where(c.delivery_id == known).order_by(c.generation, c.number)
    rows = connection.execute(tried).mappings().all()
    forms = _forms(connection, {one for row in rows for one in forms_of(row)})
    return found[0], tuple(attempt_of(row, forms) for row in rows)


def of_event(connection: Connection, event_id: str) -> tuple[KnownDelivery, ...]:
    """Returns all deliveries of an event, newest first."""
    return _rows(connection, deliveries.c.event_id == event_id)


def _forms(connection: Connection, ids: Collection[str]) -> dict[str, str]:
    c = evidence_forms.c
    chosen = select(c.id, c.form).where(c.id.in_(padded(sorted(ids)))) if ids else None
    return {} if chosen is None else {row[0]: row[1] for row in connection.execute(chosen)}


def _kind(which: DeliveryFilter) -> str:
    """Returns the kind of a cursor: it is valid for one order of the list only."""
    return "updated" if which.by_update else "delivery"


def _found(connection: Connection, which: DeliveryFilter, after: str | None, limit: int) -> scan.Found:
    key = scan.key_of(_kind(which), after) if after is not None else None
    if which.by_update:
        return lists.find_updated(connection, which, key, limit)
    bounds = scan.KeyRange(key, scan.first_id(which.since), scan.first_id(which.until))
    return scan.filled(partial(lists.find_received, connection, which), bounds, limit)


def _read(
    connection: Connection, which: DeliveryFilter, keys: Sequence[scan.Key]
) -> tuple[KnownDelivery, ...]:
    if not keys:
        return ()
    condition = scan.among(connection, deliveries.c.id, [key[-1] for key in keys])
    return _rows(connection, condition, lists.ORDER_OF_UPDATE if which.by_update else lists.ORDER_OF_RECEIPT)


def _rows(
    connection: Connection, condition: ColumnElement[bool], order: scan.Columns = lists.ORDER_OF_RECEIPT
) -> tuple[KnownDelivery, ...]:
    kind = func.coalesce(events.c.type, deliveries.c.event_type).label("type")
    # A delivery whose event was deleted by hand is listed nevertheless.
    joined = select(deliveries, kind, events.c.escaped.label("escaped")).outerjoin(
        events, events.c.id == deliveries.c.event_id
    )
    ordered = joined.where(and_(condition)).order_by(*(column.desc() for column in order))
    rows = connection.execute(ordered).mappings().all()
    last = _last_attempts(connection, {row["id"]: row["attempts"] for row in rows if row["attempts"]})
    return tuple(delivery_of(row, last.get(row["id"])) for row in rows)


def _last_attempts(connection: Connection, numbers: Mapping[str, int]) -> dict[str, LastAttempt]:
    """Returns the last attempt of each delivery; its number is the delivery's count of attempts, and no such row is updated."""
    if not numbers:
        return {}
    c = attempts.c
    joined = select(attempts).join(
        deliveries, and_(deliveries.c.id == c.delivery_id, deliveries.c.attempts == c.number)
    )
    # If the last attempt of an earlier generation has the same number, the later generation wins.
    chosen = joined.where(scan.among(connection, deliveries.c.id, list(numbers))).order_by(c.generation)
    return {row["delivery_id"]: last_of(row) for row in connection.execute(chosen).mappings()}
