"""What was taken already, and messages that were under way when a process died."""

from alembic import op

from bridge.db import admin_tables

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    for table in (admin_tables.claims, admin_tables.suspects):
        table.create(op.get_bind())
