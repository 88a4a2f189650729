"""The events for which a hook has no delivery, and the deliveries that a replay creates for them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import Column, ColumnElement, Connection, Select, func, select

from bridge.core.delivery import Status
from bridge.core.records import KnownEvent, Lacking, Replay, ReplayFilter, Restart
from bridge.db.admin_tables import outbox
from bridge.db.rows import storable
from bridge.db.scan import among, as_literal, first_id
from bridge.db.tables import deliveries, events
from bridge.db.upserts import Upsert, keep_the_first
from bridge.history.known import event_of

_WINDOW = 2048
_MOST_BYTES = 8 * 1024 * 1024
"""Maximum bytes of bodies that are read at once."""


def next_lacking(connection: Connection, replay: Replay, hook: str, limit: int) -> Lacking:
    """Returns the next `limit` events after the replay's position that have no delivery for the hook."""
    c, which, created_at, after = events.c, replay.which, replay.created_at, replay.left[hook]
    until = min(created_at + 0.001, created_at + 0.001 if which.until is None else which.until)
    bounds: list[ColumnElement[bool]] = [c.id < first_id(until)]
    if after:
        bounds.append(c.id > after)
    if (first := first_id(which.since)) is not None:
        bounds.append(c.id >= first)
    window = select(c.id).where(*bounds).order_by(c.id).limit(as_literal(_WINDOW))
    ids = list(connection.scalars(window))
    if not ids:
        return Lacking((), None)
    # One more than can be taken shows that there are more; looking up the sizes of the whole window would be wasted.
    sized = connection.execute(_without(connection, which, hook, ids).limit(as_literal(limit + 1))).all()
    chosen = _within_bytes([(row[0], row[1]) for row in sized[:limit]])
    if len(chosen) < len(sized):
        reached: str | None = chosen[-1]
    else:
        reached = ids[-1] if len(ids) == _WINDOW else None
    return Lacking(_read(connection, chosen), reached)


def make_deliveries(
    connection: Connection,
    supplies: "Supplies",
    hook: str,
    target: str,
    *,
    found: Sequence[KnownEvent],
    at: float,
) -> Sequence[Restart]:
    """Creates deliveries for those events that still have none, PENDING and in the outbox; returns their restarts."""
    if not found:
        return ()
    there = set(connection.scalars(_with(connection, hook, [event.id for event in found])))
    made = [event for event in found if event.id not in there]
    stored = storable(hook)
    rows = [
        (
            delivery_id(event.id, hook), event.id, stored, target, str(Status.PENDING), "", 1, 0,
            event.received_at, at, None, storable(event.type),
        )
        for event in made
    ]  # fmt: skip
    supplies.deliveries.write(connection, rows)
    supplies.outbox.write(connection, [(row[0], 1, at) for row in rows])
    return [Restart(row[0], row[1], hook, generation=1, attempts=0) for row in rows]


def delivery_id(event_id: str, hook: str) -> str:
    """Returns an id derived from event and hook: two replays that create the same delivery create it once."""
    return str(uuid5(UUID(event_id), hook))


class Supplies:
    """The statements that write created deliveries; they are compiled once."""

    def __init__(self, dialect: Any) -> None:
        self.deliveries = Upsert(deliveries, dialect, keep_the_first)
        self.outbox = Upsert(outbox, dialect, keep_the_first)


def _without(connection: Connection, which: ReplayFilter, hook: str, ids: Sequence[str]) -> Select[Any]:
    """Returns the query for ids and sizes of those of these events that match and have no delivery for the hook."""
    c = events.c
    size = func.length(c.body) + func.coalesce(func.length(c.headers), 0)
    chosen = select(c.id, size).where(among(connection, c.id, ids)).order_by(c.id)
    wanted: list[tuple[Column[str], str | None]] = [(c.source, which.source), (c.type, which.event_type)]
    chosen = chosen.where(*(column == storable(value) for column, value in wanted if value is not None))
    c = deliveries.c
    # By the index that begins with hook and status: an event may have very many deliveries for other hooks.
    there = select(c.event_id).where(
        c.hook == storable(hook), c.status.in_(sorted(Status)), c.event_id >= ids[0], c.event_id <= ids[-1]
    )
    return chosen.where(events.c.id.not_in(there))


def _with(connection: Connection, hook: str, ids: Sequence[str]) -> Select[Any]:
    c = deliveries.c
    return select(c.event_id).where(
        c.hook == storable(hook), c.status.in_(sorted(Status)), among(connection, c.event_id, ids)
    )


def _within_bytes(sized: Sequence[tuple[str, int]]) -> list[str]:
    """Returns as many ids from the beginning as may be read at once, and at least one."""
    chosen: list[str] = []
    size = 0
    for event_id, length in sized:
        size += length
        if chosen and size > _MOST_BYTES:
            break
        chosen.append(event_id)
    return chosen


def _read(connection: Connection, ids: Sequence[str]) -> list[KnownEvent]:
    if not ids:
        return []
    chosen = select(events).where(among(connection, events.c.id, ids)).order_by(events.c.id)
    return [event_of(row) for row in connection.execute(chosen).mappings()]
