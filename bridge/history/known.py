"""The conversion of rows to the values that they store."""

from collections.abc import Mapping

import orjson
from sqlalchemy import RowMapping

from bridge.core.delivery import KnownEvidence, Status
from bridge.core.event import Message
from bridge.core.records import KnownAttempt, KnownDelivery, KnownEvent, KnownQuarantined, LastAttempt
from bridge.db.rows import headers_of, original, properties_of
from bridge.wire.evidence import told

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
