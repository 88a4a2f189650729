"""Messages in quarantine: found, read, dropped."""

from collections.abc import Sequence
from functools import partial

from sqlalchemy import Column, ColumnElement, Connection, delete, select

from bridge.ports.quarantine import QuarantineFilter
from bridge.ports.records import KnownQuarantined, Page
from bridge.storage.engines.engine import Engine
from bridge.storage.records.cursor import cursor, key_of
from bridge.storage.records.quarantine import one
from bridge.storage.records.restored import quarantined_of
from bridge.storage.records.scan import Bounds, Scan, among, run_all
from bridge.storage.records.span import as_id, first_id
from bridge.storage.tables import quarantine
from bridge.storage.text import storable

_KIND = "refused"
_ORDER = (quarantine.c.id,)
_COST = 20
"""Of a look at a row beside one at an index: rows hold bodies."""
_LARGE = frozenset({"body", "headers", "properties"})


class SqlQuarantine:
    """The port Quarantine (bridge.ports.quarantine) on a database."""

    def __init__(self, engine: Engine) -> None:
        """The engine's database has this version's tables."""
        self._engine = engine

    async def messages(
        self, which: QuarantineFilter, *, after: str | None, limit: int
    ) -> Page[KnownQuarantined]:
        return await self._engine.read(partial(_page, which=which, after=after, limit=limit))

    async def message(self, quarantined_id: str) -> KnownQuarantined | None:
        return await self._engine.read(partial(one, quarantined_id=quarantined_id))

    async def ids(self, which: QuarantineFilter, behind: str, limit: int) -> Sequence[str]:
        return await self._engine.read(partial(_ids, which=which, behind=behind, limit=limit))

    async def drop(self, ids: Sequence[str]) -> int:
        return await self._engine.write(partial(_drop, ids=ids))


def _page(
    connection: Connection, which: QuarantineFilter, after: str | None, limit: int
) -> Page[KnownQuarantined]:
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


def _scan(which: QuarantineFilter) -> Scan:
    c = quarantine.c
    where = [] if which.source is None else [c.source == storable(which.source)]
    rest: list[tuple[Column[str], str]] = [] if which.reason is None else [(c.reason, which.reason)]
    return Scan(_ORDER, where, rest, cost=_COST)


def _without_bodies(connection: Connection, ids: Sequence[str]) -> tuple[KnownQuarantined, ...]:
    if not ids:
        return ()
    small = [column for column in quarantine.c if column.name not in _LARGE]
    chosen = select(*small).where(among(connection, quarantine.c.id, ids)).order_by(quarantine.c.id.desc())
    return tuple(quarantined_of(row) for row in connection.execute(chosen).mappings())


def _ids(connection: Connection, which: QuarantineFilter, behind: str, limit: int) -> list[str]:
    c = quarantine.c
    where: list[ColumnElement[bool]] = [c.id > behind] if behind else []
    equal = ((c.source, which.source), (c.reason, which.reason))
    where += [column == storable(text) for column, text in equal if text is not None]
    if (first := first_id(which.since)) is not None:
        where.append(c.id >= first)
    if (end := first_id(which.until)) is not None:
        where.append(c.id < end)
    return list(connection.scalars(select(c.id).where(*where).order_by(c.id).limit(limit)))


def _drop(connection: Connection, ids: Sequence[str]) -> int:
    known = [one for each in ids if (one := as_id(each)) is not None]
    if not known:
        return 0
    gone = connection.execute(delete(quarantine).where(among(connection, quarantine.c.id, known)))
    return gone.rowcount
