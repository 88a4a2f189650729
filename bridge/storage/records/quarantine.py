"""Messages in quarantine, in pages and alone."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from bridge.ports.quarantine import KnownQuarantined, QuarantineFilter
from bridge.ports.records import Page
from bridge.storage.records.cursor import cursor, key_of
from bridge.storage.records.restored import quarantined_of
from bridge.storage.records.scan import Bounds, Scan, among, equals, run_all
from bridge.storage.records.span import as_id, first_id
from bridge.storage.tables import quarantine
from bridge.storage.text import storable

_KIND = "refused"
_ORDER = (quarantine.c.id,)
_COST = 20
"""Of a look at a row beside one at an index: rows hold bodies."""
_LARGE = frozenset({"body", "headers", "properties"})


def page(
    connection: Connection, which: QuarantineFilter, after: str | None, limit: int
) -> Page[KnownQuarantined]:
    """The newest `limit` of those, or those behind `after`; ValueError for a wrong one."""
    bounds = Bounds(
        after=key_of(_KIND, after) if after is not None else None,
        since=first_id(which.since),
        until=first_id(which.until),
    )
    found = run_all(connection, [_scan(which)], bounds, limit + 1)
    keys, more = found.keys[:limit], len(found.keys) > limit
    last = keys[-1] if more else found.horizon
    ids = [key[0] for key in keys]
    return Page(_without_bodies(connection, ids), cursor(_KIND, last) if last is not None else None)


def one(connection: Connection, quarantined_id: str) -> KnownQuarantined | None:
    """The message; None where there is none."""
    known = as_id(quarantined_id)
    found = connection.execute(select(quarantine).where(quarantine.c.id == known)).mappings().first()
    return None if known is None or found is None else quarantined_of(found)


def _scan(which: QuarantineFilter) -> Scan:
    c = quarantine.c
    where = [] if which.source is None else [c.source == storable(which.source)]
    rest = [] if which.reason is None else [equals(c.reason, which.reason)]
    return Scan(_ORDER, where, rest, cost=_COST)


def _without_bodies(connection: Connection, ids: Sequence[str]) -> tuple[KnownQuarantined, ...]:
    if not ids:
        return ()
    small = [column for column in quarantine.c if column.name not in _LARGE]
    chosen = select(*small).where(among(connection, quarantine.c.id, ids)).order_by(quarantine.c.id.desc())
    return tuple(quarantined_of(row) for row in connection.execute(chosen).mappings())
