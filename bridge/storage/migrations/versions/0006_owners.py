"""Whose history it is."""

from alembic import op

from bridge.storage import guard_tables

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    guard_tables.owners.create(op.get_bind())
