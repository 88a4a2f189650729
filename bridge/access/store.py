"""The store of tokens and the audit log."""

from functools import partial
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, or_, select, update

from bridge.core.access import AuditEntry, DeedFilter, KnownToken, Role
from bridge.core.records import Page
from bridge.db.admin_tables import audit, tokens
from bridge.db.engine import Reads, Store, Writes
from bridge.db.rows import storable
from bridge.db.scan import KeyRange, cursor, first_id, key_of
from bridge.db.upserts import any_insert
from bridge.history.retention import newest_id

_KIND = "audit"


def _add_token(connection: Connection, token: KnownToken, digest: str) -> bool:
    """Store the token; returns False if a token that is not revoked has the same name."""
    row = {name: getattr(token, name) for name in tokens.columns.keys() if name != "digest"}  # noqa: SIM118 - no dict
    connection.execute(any_insert(connection, tokens).values(**row, digest=digest).on_conflict_do_nothing())
    # A query, since the row count is 0 if the transaction runs again after its connection broke during the commit.
    return connection.scalar(select(tokens.c.id).where(tokens.c.digest == digest)) == token.id


def _token_of(connection: Connection, digest: str) -> KnownToken | None:
    row = connection.execute(select(tokens).where(tokens.c.digest == digest)).mappings().first()
    return None if row is None else _token(row)


def _all_tokens(connection: Connection) -> list[KnownToken]:
    chosen = select(tokens).order_by(tokens.c.name, tokens.c.created_at, tokens.c.id)
    return [_token(row) for row in connection.execute(chosen).mappings()]


def _token(row: RowMapping) -> KnownToken:
    known: dict[str, Any] = {name: content for name, content in row.items() if name != "digest"}
    return KnownToken(**known | {"role": Role(row["role"])})


def _revoke(connection: Connection, token_id: str, at: float) -> bool:
    """Revoke the token; returns False if the token is unknown or revoked already."""
    good = tokens.c.id == token_id, tokens.c.revoked_at.is_(None)
    connection.execute(update(tokens).where(*good).values(revoked_at=at))
    return connection.scalar(select(tokens.c.revoked_at).where(tokens.c.id == token_id)) == at


def _tokens_used(connection: Connection, used: dict[str, float]) -> None:
    # In the order of their ids, so that two replicas never deadlock.
    for token_id, at in sorted(used.items()):
        later = or_(tokens.c.last_used_at.is_(None), tokens.c.last_used_at < at)
        connection.execute(update(tokens).where(tokens.c.id == token_id, later).values(last_used_at=at))


def _write_deed(connection: Connection, deed: AuditEntry) -> None:
    row = {name: getattr(deed, name) for name in audit.columns.keys()}  # noqa: SIM118 - no dict
    row |= {name: storable(text) for name, text in row.items() if isinstance(text, str)}
    connection.execute(any_insert(connection, audit).values(**row).on_conflict_do_nothing())


def _deeds(connection: Connection, which: DeedFilter, after: str | None, limit: int) -> Page[AuditEntry]:
    """Returns a page of entries, newest first; ValueError for an invalid cursor."""
    bounds = KeyRange(
        after=key_of(_KIND, after) if after is not None else None,
        since=first_id(which.since),
        until=first_id(which.until),
    )
    given = {
        name: getattr(which, name) for name in ("actor", "action", "object_type", "object_id", "request_id")
    }
    fits = [audit.c[name] == storable(text) for name, text in given.items() if text is not None]
    chosen = select(audit).where(*fits, *bounds.condition([audit.c.id])).order_by(audit.c.id.desc())
    found = [AuditEntry(**dict(row)) for row in connection.execute(chosen.limit(limit + 1)).mappings()]
    more = len(found) > limit
    return Page(tuple(found[:limit]), cursor(_KIND, (found[limit - 1].id,)) if more else None)


def _forget_deeds(connection: Connection, before: float, limit: int) -> int:
    """Delete at most `limit` entries older than `before` (Unix seconds), oldest first; returns the number deleted."""
    oldest = select(audit.c.id).where(audit.c.id <= newest_id(before)).order_by(audit.c.id).limit(limit)
    return connection.execute(delete(audit).where(audit.c.id.in_(oldest))).rowcount


class SqlAccess(Store):
    """The store of bearer tokens, hashed, and of the audit log. All methods raise HistoryUnavailable."""

    add_token = Writes(_add_token)
    token_of = Reads(_token_of)
    tokens = Reads(_all_tokens)
    revoke_token = Writes(_revoke)
    write_deed = Writes(_write_deed)
    deeds = Reads(_deeds)
    forget_deeds = Writes(_forget_deeds)

    async def tokens_used(self, used: dict[str, float]) -> None:
        if used:
            await self.engine.write(partial(_tokens_used, used=used))
