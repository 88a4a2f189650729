"""The first tables.

A revision stands on its own: it says what the tables were when it was written, whatever they became.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

_ID = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
_WAITING = sa.text("status IN ('PENDING', 'RETRYING')")


def upgrade() -> None:
    _events()
    _deliveries()
    _attempts()
    _quarantine()
    op.create_table(
        "hook_states",
        sa.Column("hook", sa.Text, primary_key=True),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("changed_at", sa.Double, nullable=False),
    )


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("publisher_id", sa.Text),
        sa.Column("webhook_id", sa.Text, nullable=False),
        sa.Column("time", sa.Text),
        sa.Column("received_at", sa.Double, nullable=False),
        sa.Column("identity", sa.Text),
        sa.Column("exchange", sa.Text, nullable=False),
        sa.Column("routing_key", sa.Text, nullable=False),
        sa.Column("properties", sa.Text),
        sa.Column("headers", sa.Text),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("escaped", sa.Text),
    )


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("event_id", _ID, nullable=False),
        sa.Column("hook", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.Column("next_attempt_at", sa.Double),
        sqlite_with_rowid=False,
    )
    op.create_index("deliveries_event", "deliveries", ["event_id"])
    op.create_index(
        "deliveries_waiting",
        "deliveries",
        ["hook", "status"],
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("delivery_id", _ID, primary_key=True),
        sa.Column("generation", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("duration_ms", sa.Double, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("status_code", sa.Integer),
        sa.Column("response", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("escaped", sa.Text),
        sqlite_with_rowid=False,
    )


def _quarantine() -> None:
    op.create_table(
        "quarantine",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("quarantined_at", sa.Double, nullable=False),
        sa.Column("exchange", sa.Text, nullable=False),
        sa.Column("routing_key", sa.Text, nullable=False),
        sa.Column("properties", sa.Text),
        sa.Column("headers", sa.Text),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("escaped", sa.Text),
    )
    op.create_index("quarantine_age", "quarantine", ["quarantined_at"])
