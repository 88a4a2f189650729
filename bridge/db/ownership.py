"""Whose history it is: written down by the first bridge that starts on it, asked for by every other."""

import re
import time

import uuid_utils
from sqlalchemy import Connection, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from bridge.core.errors import Problem, SettingsError
from bridge.core.survey import Owner, refusal
from bridge.db.admin_tables import owners
from bridge.db.engine import Store, Writes


def _claim(connection: Connection, bridge: Owner, take_over: str = "") -> str:
    """Have the history for this bridge, and give its id, by which it differs from other histories.

    `take_over`: the owner, as it is told, that this bridge may follow. Raises SettingsError where it belongs to another.
    """
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
    if take_over.strip() != str(found):
        raise SettingsError([Problem("storage.url", refusal(found, str(bridge)))])
    connection.execute(update(owners).values(mine))
    return str(mine["history"])


class SqlOwnership(Store):
    """The one row that says who owns the history."""

    claim = Writes(_claim)


def owner_of(connection: Connection) -> Owner | None:
    """Whose it is, with this version's tables; None: nobody's yet."""
    row = connection.execute(text("SELECT prefix, broker, vhost FROM owners")).one_or_none()
    return None if row is None else Owner(*map(str, row))


# Which databases this version can use.


HEAD = "0008"
"""The newest revision: a database that is there already needs no Alembic at start, which saves time and memory."""

_VERSION = "alembic_version"
_FIRST = frozenset({"events", "deliveries", "attempts"})
"""Tables that every revision of ours has."""
_OF_OURS = re.compile(r"\d{4}")


def misfit(tables: frozenset[str], revision: str | None, ours: frozenset[str] | None = None) -> str:
    """Why a database with these tables is none that this version can use; empty: it is one, or can become one.

    `revision`: what stands in Alembic's table, which other programs have, too. `ours`: names that no other program may
    have taken; default: there must be nothing else at all.
    """
    if revision is None:
        strange = tables - {_VERSION} if ours is None else tables & ours
    elif tables >= _FIRST and _OF_OURS.fullmatch(revision):
        strange = frozenset()
    else:
        strange = tables - {_VERSION} or tables
    if strange:
        some = ", ".join(sorted(strange)[:3]) + (f" and {len(strange) - 3} more" if len(strange) > 3 else "")
        return (
            f"this database is another program's: amqp-bridge did not make its tables {some}; give the bridge a database, "
            "or a schema, of its own"
        )
    if revision is not None and revision > HEAD:
        return (
            f"the database was made by a newer version of amqp-bridge (revision {revision}, "
            f"this version knows up to {HEAD}); run that version, or use another database"
        )
    return ""
