"""Names and ids that the history knows, each found in an index."""

from sqlalchemy import Column, Connection, exists, select

from bridge.core.records import IdOf
from bridge.db.admin_tables import replays
from bridge.db.scan import distinct
from bridge.db.tables import deliveries, events, quarantine
from bridge.db.text import storable

_MOST_SOURCES = 100
_MOST_TYPES = 500
_NO_ID = "00000000-0000-0000-0000-000000000000"
_LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"


def has_hook(connection: Connection, hook: str) -> bool:
    """Whether there is a delivery of it."""
    return _there(connection, deliveries.c.hook, hook)


def has_source(connection: Connection, source: str) -> bool:
    """Whether there is an event of it, or a message in quarantine."""
    return _there(connection, events.c.source, source) or _there(connection, quarantine.c.source, source)


def event_types(connection: Connection) -> list[str]:
    """Those that events have, so many of each source at the most."""
    found: dict[str, None] = {}
    for source in distinct(connection, events.c.source, most=_MOST_SOURCES):
        found.update(
            dict.fromkeys(distinct(connection, events.c.type, events.c.source == source, most=_MOST_TYPES))
        )
    return list(found)


def has_event_type(connection: Connection, kind: str) -> bool:
    """Returns whether the history has an event of this type."""
    return any(
        connection.scalar(select(exists().where(events.c.source == source, events.c.type == storable(kind))))
        for source in distinct(connection, events.c.source, most=_MOST_SOURCES)
    )


def ids_beginning(connection: Connection, kind: IdOf, beginning: str, most: int) -> list[str]:
    """The ids of that kind that begin so."""
    columns: dict[IdOf, Column[str]] = {
        "event": events.c.id,
        "delivery": deliveries.c.id,
        "quarantine": quarantine.c.id,
        "replay": replays.c.id,
    }
    column = columns[kind]
    first, last = beginning + _NO_ID[len(beginning) :], beginning + _LAST_ID[len(beginning) :]
    chosen = select(column).where(column >= first, column <= last).order_by(column).limit(most)
    return [str(one) for one in connection.scalars(chosen)]


def _there(connection: Connection, column: Column[str], value: str) -> bool:
    return bool(connection.scalar(select(exists().where(column == storable(value)))))
