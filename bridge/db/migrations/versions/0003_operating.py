"""Hooks of the API, tokens, audit, replays, leases, and the sums of statistics."""

import sqlalchemy as sa
from alembic import op

from bridge.db import admin_tables

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("hook_states", sa.Column("said_enabled", sa.Boolean))
    op.add_column("hook_states", sa.Column("said_paused", sa.Boolean))
    for table in (
        admin_tables.hooks,
        admin_tables.revisions,
        admin_tables.replicas,
        admin_tables.leases,
        admin_tables.tokens,
        admin_tables.audit,
        admin_tables.outbox,
        admin_tables.idempotency,
        admin_tables.replays,
        admin_tables.hook_health,
        admin_tables.sums,
        admin_tables.durations,
        admin_tables.measures,
    ):
        table.create(op.get_bind())
