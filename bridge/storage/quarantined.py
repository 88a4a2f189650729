"""Messages in quarantine: found, read, dropped."""

from collections.abc import Sequence
from functools import partial

from sqlalchemy import ColumnElement, Connection, delete, select

from bridge.ports.quarantine import KnownQuarantined, QuarantineFilter
from bridge.ports.records import Page
from bridge.storage.engines.engine import Engine
from bridge.storage.records.quarantine import one, page
from bridge.storage.records.scan import among
from bridge.storage.records.span import as_id, first_id
from bridge.storage.tables import quarantine
from bridge.storage.text import storable


class SqlQuarantine:
    """The port Quarantine (bridge.ports.quarantine) on a database."""

    def __init__(self, engine: Engine) -> None:
        """The engine's database has this version's tables."""
        self._engine = engine

    async def messages(
        self, which: QuarantineFilter, *, after: str | None, limit: int
    ) -> Page[KnownQuarantined]:
        return await self._engine.read(partial(page, which=which, after=after, limit=limit))

    async def message(self, quarantined_id: str) -> KnownQuarantined | None:
        return await self._engine.read(partial(one, quarantined_id=quarantined_id))

    async def ids(self, which: QuarantineFilter, behind: str, limit: int) -> Sequence[str]:
        return await self._engine.read(partial(_ids, which=which, behind=behind, limit=limit))

    async def drop(self, ids: Sequence[str]) -> int:
        return await self._engine.write(partial(_drop, ids=ids))


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
