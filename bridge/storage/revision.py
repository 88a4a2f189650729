"""The revision of the hooks and of what was said of them: by it the replicas see that there is something new."""

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from bridge.storage.admin_tables import revisions

_COUNTER = "hooks"


def next_revision(connection: Connection) -> int:
    """Count up. Whoever else writes hooks waits here until this transaction ends, and then sees what it wrote."""
    of_dialect = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = of_dialect(revisions).values(name=_COUNTER, value=1)
    counted = statement.on_conflict_do_update(
        index_elements=[revisions.c.name], set_={"value": revisions.c.value + 1}
    )
    value: int = connection.execute(counted.returning(revisions.c.value)).scalar_one()
    return value


def revision(connection: Connection) -> int:
    """That of now; 0: nothing was ever changed."""
    c = revisions.c
    return connection.execute(select(c.value).where(c.name == _COUNTER)).scalar() or 0
