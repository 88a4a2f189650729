"""The tables of the history, which docs/history.md explains for manual queries.

Times are Unix seconds (floating point): the driver accepts them as they are, they sort, and both databases convert them to
dates (`datetime(at, 'unixepoch')`, `to_timestamp(at)`). There are no foreign keys: an event is written in the same transaction
as its deliveries, and a check per row would be a cost of every delivery.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

ID = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
INDEXED_LENGTH = 200
"""Maximum characters of a publisher's id that is indexed."""
WEBHOOK_ID_OF_ITS_OWN = f"publisher_id IS NOT NULL AND length(webhook_id) BETWEEN 1 AND {INDEXED_LENGTH}"
"""The condition for events with a `webhook-id` other than their own id, which has to be indexed."""
WAITING = "status IN ('PENDING', 'RETRYING')"
"""The condition of the index of waiting deliveries, by hook."""
NOT_SUCCESS = "status <> 'SUCCESS'"
"""The condition of the status index: nearly every delivery succeeds at once, and need not be indexed."""


def where(condition: str) -> dict[str, Any]:
    """Returns the options of an index that has only the rows that meet the condition."""
    return dict.fromkeys(("sqlite_where", "postgresql_where"), sa.text(condition))


metadata = sa.MetaData()

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", ID, primary_key=True),
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
    sa.Index("events_type", "source", "type", "id"),
    # Ids of publishers are random: an index on them would dirty a page for each. By their last character they fall into a few
    # groups, each in the order of time, which are searched quickly.
    sa.Index(
        "events_publisher",
        sa.text("substr(publisher_id, length(publisher_id))"),
        "id",
        "publisher_id",
        **where(f"length(publisher_id) <= {INDEXED_LENGTH}"),
    ),
    sa.Index(
        "events_webhook",
        sa.text("substr(webhook_id, length(webhook_id))"),
        "id",
        "webhook_id",
        **where(WEBHOOK_ID_OF_ITS_OWN),
    ),
)

# The keys of an event by the dimensions of its source, for searching.
event_dimensions = sa.Table(
    "event_dimensions",
    metadata,
    sa.Column("dimension", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("event_id", ID, primary_key=True),
    sa.Index("event_dimensions_event", "event_id"),
    sqlite_with_rowid=False,
)

# Lists are in the order of (event_id, id), which is that of receipt, or of (updated_at, id); each index but one ends with the
# former. A row keeps its position in them unless its status changes, which happens once, or never if the first attempt
# succeeds. `event_type` is here and in the indexes so that a scan needs no lookup. Without SQLite's hidden row id the primary
# key is the table itself: one tree to write instead of two. Events have a row id, because such a tree stores rows of over 1 kB
# badly.
deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("event_id", ID, nullable=False),
    sa.Column("hook", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("next_attempt_at", sa.Double),
    sa.Column("event_type", sa.Text, nullable=False, server_default=""),
    sa.Index("deliveries_event", "event_id", "id"),
    sa.Index("deliveries_hook", "hook", "status", "event_id", "id", "event_type"),
    sa.Index("deliveries_status", "status", "event_id", "id", "event_type", **where(NOT_SUCCESS)),
    sa.Index("deliveries_waiting", "hook", "event_id", "status", **where(WAITING)),
    sa.Index("deliveries_updated", "updated_at", "id", "hook", "status", "event_type"),
    sqlite_with_rowid=False,
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("delivery_id", ID, primary_key=True),
    sa.Column("generation", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("started_at", sa.Double, nullable=False),
    sa.Column("duration_ms", sa.Double, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("status_code", sa.Integer),
    sa.Column("response", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("escaped", sa.Text),
    # The request and response without the bodies: bridge.wire.evidence.
    sa.Column("evidence", sa.Text),
    sqlite_with_rowid=False,
)

# The parts of evidence that are equal in many attempts.
evidence_forms = sa.Table(
    "evidence_forms",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("form", sa.Text, nullable=False),
    sa.Column("used_at", sa.Double, nullable=False),
)

quarantine = sa.Table(
    "quarantine",
    metadata,
    sa.Column("id", ID, primary_key=True),
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
    sa.Index("quarantine_age", "quarantined_at"),
    sa.Index("quarantine_source", "source", "id"),
    sa.Index("quarantine_reason", "reason", "id"),
)

hook_states = sa.Table(
    "hook_states",
    metadata,
    sa.Column("hook", sa.Text, primary_key=True),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("changed_at", sa.Double, nullable=False),
    # The overlay of a hook of the file; NULL: as in the file.
    sa.Column("said_enabled", sa.Boolean),
    sa.Column("said_paused", sa.Boolean),
)
