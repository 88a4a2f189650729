"""What lists of events and deliveries are read from: their indexes, and the event's type beside each delivery."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_OF_USUAL_LENGTH = sa.text("length(publisher_id) <= 200")


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("event_type", sa.Text, nullable=False, server_default=""))
    op.execute(
        "UPDATE deliveries SET event_type = "
        "coalesce((SELECT events.type FROM events WHERE events.id = deliveries.event_id), '')"
    )
    op.drop_index("deliveries_waiting", "deliveries")
    op.drop_index("deliveries_event", "deliveries")
    op.create_index("deliveries_event", "deliveries", ["event_id", "id"])
    op.create_index("deliveries_hook", "deliveries", ["hook", "status", "event_id", "id", "event_type"])
    op.create_index("deliveries_status", "deliveries", ["status", "event_id", "id", "event_type"])
    op.create_index("events_type", "events", ["source", "type", "id"])
    op.create_index(
        "events_publisher",
        "events",
        [sa.text("substr(publisher_id, length(publisher_id))"), "id", "publisher_id"],
        sqlite_where=_OF_USUAL_LENGTH,
        postgresql_where=_OF_USUAL_LENGTH,
    )
    op.create_index("quarantine_source", "quarantine", ["source", "id"])
