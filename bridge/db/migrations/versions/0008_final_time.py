"""What finds deliveries by their final time, events by what receivers and people call them, and what was sent and heard."""

import sqlalchemy as sa
from alembic import op

from bridge.db import tables

revision = "0008"
down_revision = "0007"

_NOT_SUCCESS = sa.text("status <> 'SUCCESS'")
_OF_ITS_OWN = sa.text("publisher_id IS NOT NULL AND length(webhook_id) BETWEEN 1 AND 200")


def upgrade() -> None:
    op.drop_index("deliveries_status", "deliveries")
    op.create_index(
        "deliveries_status",
        "deliveries",
        ["status", "event_id", "id", "event_type"],
        sqlite_where=_NOT_SUCCESS,
        postgresql_where=_NOT_SUCCESS,
    )
    op.create_index("deliveries_updated", "deliveries", ["updated_at", "id", "hook", "status", "event_type"])
    op.create_index(
        "events_webhook",
        "events",
        [sa.text("substr(webhook_id, length(webhook_id))"), "id", "webhook_id"],
        sqlite_where=_OF_ITS_OWN,
        postgresql_where=_OF_ITS_OWN,
    )
    op.add_column("attempts", sa.Column("evidence", sa.Text))
    for table in (tables.evidence_forms, tables.event_dimensions):
        table.create(op.get_bind())
