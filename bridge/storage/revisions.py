"""Which databases this version can use."""

import re

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
