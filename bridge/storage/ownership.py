"""Whose history it is: written down by the first bridge that starts on it, asked for by every other."""

import time
from functools import partial

import uuid_utils
from sqlalchemy import Connection, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from bridge.model.errors import Problem, SettingsError
from bridge.model.owner import Owner, refusal
from bridge.storage.engines.engine import Engine
from bridge.storage.guard_tables import owners


class SqlOwnership:
    """The one row that says who owns the history."""

    def __init__(self, engine: Engine) -> None:
        """The engine's database has this version's tables."""
        self._engine = engine

    async def claim(self, bridge: Owner, take_over: str = "") -> str:
        """Have the history for this bridge, and give its id, by which it differs from other histories.

        `take_over`: the owner, as it is told, that this bridge may follow. Raises SettingsError where it belongs to
        another, HistoryUnavailable.
        """
        return await self._engine.write(partial(_claim, bridge=bridge, take_over=take_over.strip()))


def _claim(connection: Connection, bridge: Owner, take_over: str) -> str:
    of_dialect = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    mine = {**bridge._asdict(), "history": str(uuid_utils.uuid4()), "since": time.time()}
    # Of two that start together on a new history, one comes first and the other waits here for its row.
    connection.execute(of_dialect(owners).values(id=1, **mine).on_conflict_do_nothing())
    row = connection.execute(select(owners)).one()
    found = Owner(row.prefix, row.broker, row.vhost)
    if not found.is_another(bridge):
        if not found.broker and bridge.broker:
            connection.execute(update(owners).values(broker=bridge.broker))
        return str(row.history)
    if take_over != str(found):
        raise SettingsError([Problem("storage.url", refusal(found, str(bridge)))])
    connection.execute(update(owners).values(mine))
    return str(mine["history"])


def owner_of(connection: Connection) -> Owner | None:
    """Whose it is, with this version's tables; None: nobody's yet."""
    row = connection.execute(text("SELECT prefix, broker, vhost FROM owners")).one_or_none()
    return None if row is None else Owner(*map(str, row))
