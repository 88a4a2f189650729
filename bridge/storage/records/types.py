"""Events of one type over all sources: their index begins with the source, of which there are few."""

from collections.abc import Iterator

from sqlalchemy import Connection

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

    `bounds.after` is of a list of deliveries: the events are those behind the one that it names.
    """
    scans = scans_of_type(connection, kind)
    after = bounds.after and bounds.after[:1]
    for size in sizes:
        found = run_all(connection, scans, Bounds(after, bounds.since, bounds.until), size)
        yield [key[0] for key in found.keys]
        after = found.keys[-1] if found.keys else after
