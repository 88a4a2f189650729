"""The tables as defined in the code; the first release will list them here, and later revisions build on that.

A history of the unreleased revisions 0001 to 0008 keeps its tables and gets the missing parts.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import CreateColumn, CreateIndex

from bridge.db.tables import metadata

revision = "0009"
down_revision = None

_OTHERS_BEFORE = ("deliveries_waiting", "deliveries_event", "deliveries_status")
"""Indexes that an older revision made differently."""


def upgrade() -> None:
    connection = op.get_bind()
    before = sa.inspect(connection)
    columns = {
        table: {column["name"] for column in before.get_columns(table)}
        for table in metadata.tables.keys() & set(before.get_table_names())
    }
    for index in _OTHERS_BEFORE:
        op.execute(f"DROP INDEX IF EXISTS {index}")
    for table in metadata.sorted_tables:
        if table.name not in columns:
            table.create(connection)
        else:
            _complete(connection, table, columns[table.name])
    if "event_type" not in columns.get("deliveries", {"event_type"}):
        op.execute(
            "UPDATE deliveries SET event_type = "
            "coalesce((SELECT events.type FROM events WHERE events.id = deliveries.event_id), '')"
        )


def _complete(connection: sa.Connection, table: sa.Table, there: set[str]) -> None:
    for column in table.columns:
        if column.name not in there:
            definition = CreateColumn(column).compile(dialect=connection.dialect)
            op.execute(f"ALTER TABLE {table.name} ADD COLUMN {definition}")
    for index in table.indexes:
        connection.execute(CreateIndex(index, if_not_exists=True))
