"""Events of one type over all sources: their index begins with the source, of which there are few."""

from collections.abc import Iterator
from uuid import UUID

from sqlalchemy import Connection

from bridge.storage.records.cursor import Key
from bridge.storage.records.scan import Bounds, Scan, distinct, run_all
from bridge.storage.tables import events
from bridge.storage.text import storable

ORDER = (events.c.id,)
_MOST_SOURCES = 100


def scans_of_type(connection: Connection, kind: str) -> list[Scan]:
    """One scan for each source."""
    c, stored = events.c, storable(kind)
    sources = distinct(connection, c.source, most=_MOST_SOURCES)
    return [Scan(ORDER, (c.source == source, c.type == stored)) for source in sources]


def batches_of_type(
    connection: Connection, kind: str, bounds: Bounds, sizes: tuple[int, ...]
) -> Iterator[list[str]]:
    """Ids of events of a type, the newest first, so many at a time; the last batch is shorter than its size.

    `bounds.after` is of a list of deliveries: the event that it names is among them, for what else belongs to it.
    """
    scans = scans_of_type(connection, kind)
    after: Key | None = (_next_id(bounds.after[0]),) if bounds.after is not None else None
    for size in sizes:
        found = run_all(connection, scans, Bounds(after, bounds.since, bounds.until), size)
        yield [key[0] for key in found.keys]
        after = found.keys[-1] if found.keys else after


def _next_id(text: str) -> str:
    return str(UUID(int=min(UUID(text).int + 1, (1 << 128) - 1)))
