"""Messages in quarantine, in pages and alone."""

from typing import Any

from sqlalchemy import Connection, Select, select

from bridge.ports.records import KnownQuarantined, Page
from bridge.storage.records.cursor import cursor, key_of
from bridge.storage.records.restored import quarantined_of
from bridge.storage.records.scan import Bounds
from bridge.storage.records.span import as_id
from bridge.storage.tables import quarantine
from bridge.storage.text import storable

_KIND = "refused"


def page(connection: Connection, source: str | None, after: str | None, limit: int) -> Page[KnownQuarantined]:
    """The newest `limit` messages, of one source or of all, or those behind `after`; ValueError for a wrong one."""
    c = quarantine.c
    bounds = Bounds(after=key_of(_KIND, after) if after is not None else None)
    small = [column for column in c if column.name not in {"body", "headers", "properties"}]
    chosen = select(*small).where(*bounds.condition([c.id]))
    if source is not None:
        chosen = chosen.where(c.source == storable(source))
    found = _messages(connection, chosen.order_by(c.id.desc()).limit(limit + 1))
    more = len(found) > limit
    return Page(found[:limit], cursor(_KIND, (found[limit - 1].id,)) if more else None)


def one(connection: Connection, quarantined_id: str) -> KnownQuarantined | None:
    """The message; None where there is none."""
    known = as_id(quarantined_id)
    found = _messages(connection, select(quarantine).where(quarantine.c.id == known)) if known else ()
    return found[0] if found else None


def _messages(connection: Connection, statement: Select[Any]) -> tuple[KnownQuarantined, ...]:
    return tuple(quarantined_of(row) for row in connection.execute(statement).mappings())
