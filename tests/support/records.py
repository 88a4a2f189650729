"""Entries for the history, and a look past it into its database."""

import asyncio
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any
from uuid import UUID

import asyncpg
import uuid_utils

from bridge.core.delivery import Attempt, Delivery, Quarantined, Record, Status
from bridge.core.event import Event, Message
from bridge.core.records import DeliveryFilter, KnownDelivery
from bridge.history.history import SqlHistory

NOW = 1_746_428_889.25


def new_id(at: float = NOW) -> str:
    """A UUIDv7 of that Unix time."""
    random = int(uuid_utils.uuid7()) % (1 << 80)
    return str(UUID(int=int(at * 1000) << 80 | random))


def an_event(
    at: float = NOW, *, body: bytes = b'{"a":1}', headers: Mapping[str, Any] | None = None, **fields: Any
) -> Event:
    of_message = {"exchange", "routing_key", "content_type", "message_id", "timestamp", "redelivered"}
    message = Message(
        body, headers=headers or {}, **{name: fields.pop(name) for name in of_message & fields.keys()}
    )
    known = {"source": "splynx", "type": "customers.create", "format": "splynx", "webhook_id": "wh_1"}
    return Event(id=new_id(at), received_at=at, message=message, **{**known, **fields})


def a_delivery(event: Event | None = None, **fields: Any) -> Delivery:
    event = event or an_event()
    return Delivery(**{"id": new_id(event.received_at), "event": event, "hook": "crm", **fields})


def an_attempt(number: int = 1, *, at: float = NOW, **fields: Any) -> Attempt:
    known = {"duration_ms": 12.5, "outcome": "delivered", "code": 200, "response": b"ok"}
    return Attempt(number=number, started_at=at, **{**known, **fields})


def delivered(delivery: Delivery | None = None, *, at: float | None = None, **attempt: Any) -> Record:
    """The record of a success."""
    delivery = delivery or a_delivery()
    at = at or delivery.event.received_at
    return Record(delivery, "webhook", Status.SUCCESS, "", at, an_attempt(delivery.attempt, at=at, **attempt))


def waiting(delivery: Delivery, status: Status = Status.PENDING, *, at: float = NOW, **fields: Any) -> Record:
    """The record of a parked delivery."""
    return Record(delivery, "webhook", status, "hook_paused", at, **fields)


def in_quarantine(at: float = NOW, **fields: Any) -> Quarantined:
    known = {"source": "splynx", "reason": "undecodable", "detail": "", "message": Message(b"\xff")}
    return Quarantined(id=new_id(at), at=at, **{**known, **fields})


async def newest(records: SqlHistory, limit: int) -> tuple[KnownDelivery, ...]:
    """The newest deliveries of all."""
    return (await records.deliveries(DeliveryFilter(), after=None, limit=limit)).items


async def look(url: str, statement: str) -> list[tuple[Any, ...]]:
    """What a query gives, past the history."""
    if url.startswith("sqlite"):
        return await asyncio.to_thread(_look_into_file, url.removeprefix("sqlite:///"), statement)
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


def _look_into_file(file: str, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file, timeout=10, isolation_level=None)) as connection:
        return connection.execute(statement).fetchall()


def days_ago(days: float) -> float:
    return time.time() - days * 86_400
