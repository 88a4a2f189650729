"""What proves that a message is the bridge's own."""

from alembic import op

from bridge.db import admin_tables

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    admin_tables.message_keys.create(op.get_bind())
