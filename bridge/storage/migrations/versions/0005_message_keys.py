"""What proves that a message is the bridge's own."""

from alembic import op

from bridge.storage import guard_tables

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    guard_tables.message_keys.create(op.get_bind())
