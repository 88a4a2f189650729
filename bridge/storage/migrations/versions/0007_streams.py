"""How far streams have been read."""

from alembic import op

from bridge.storage import guard_tables

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    guard_tables.stream_offsets.create(op.get_bind())
