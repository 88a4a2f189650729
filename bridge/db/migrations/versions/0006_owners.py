"""Whose history it is."""

from alembic import op

from bridge.db import admin_tables

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    admin_tables.owners.create(op.get_bind())
