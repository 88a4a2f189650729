"""Alembic runs this; the connection and its transaction are given by bridge.db.migrations.migrate."""

from alembic import context

from bridge.db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
