"""How far streams have been read."""

from alembic import op

from bridge.db import admin_tables

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    admin_tables.stream_offsets.create(op.get_bind())
