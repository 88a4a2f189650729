"""The history's tables, as docs/history.md explains them to those who query them by hand.

Times are Unix seconds (floating point): the driver takes them as they are, they sort, and both databases
turn them into dates (`datetime(at, 'unixepoch')`, `to_timestamp(at)`). There are no foreign keys: an event is
written in the same transaction as its deliveries, and a check per row would cost on every delivery.
"""

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects import postgresql

_ID = String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
INDEXED_LENGTH = 200
"""Characters of a publisher's id; longer ones are in no index."""
_OF_USUAL_LENGTH = text(f"length(publisher_id) <= {INDEXED_LENGTH}")
WEBHOOK_ID_OF_ITS_OWN = f"publisher_id IS NOT NULL AND length(webhook_id) BETWEEN 1 AND {INDEXED_LENGTH}"
"""The events that receivers know by another id than ours, which would be found by itself."""
_WEBHOOK_ID_OF_ITS_OWN = text(WEBHOOK_ID_OF_ITS_OWN)
NOT_SUCCESS = "status <> 'SUCCESS'"
"""What the index of statuses holds: nearly every delivery succeeds at once, and need not be written there too."""
_NOT_SUCCESS = text(NOT_SUCCESS)

metadata = MetaData()

events = Table(
    "events",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("source", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("publisher_id", Text),
    Column("webhook_id", Text, nullable=False),
    Column("time", Text),
    Column("received_at", Double, nullable=False),
    Column("identity", Text),
    Column("exchange", Text, nullable=False),
    Column("routing_key", Text, nullable=False),
    Column("properties", Text),
    Column("headers", Text),
    Column("body", LargeBinary, nullable=False),
    Column("escaped", Text),
    Index("events_type", "source", "type", "id"),
    # Ids of publishers are random: an index on them would dirty a page for each. By their last character they fall
    # into a few heaps, each in the order of time, in which one is soon found.
    Index(
        "events_publisher",
        text("substr(publisher_id, length(publisher_id))"),
        "id",
        "publisher_id",
        sqlite_where=_OF_USUAL_LENGTH,
        postgresql_where=_OF_USUAL_LENGTH,
    ),
    Index(
        "events_webhook",
        text("substr(webhook_id, length(webhook_id))"),
        "id",
        "webhook_id",
        sqlite_where=_WEBHOOK_ID_OF_ITS_OWN,
        postgresql_where=_WEBHOOK_ID_OF_ITS_OWN,
    ),
)

# The keys of an event by the dimensions of its source, so that it is found by them.
event_dimensions = Table(
    "event_dimensions",
    metadata,
    Column("dimension", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("event_id", _ID, primary_key=True),
    Index("event_dimensions_event", "event_id"),
    sqlite_with_rowid=False,
)

# Lists are in the order of (event_id, id), which is that of receipt, or of (updated_at, id); each index but one ends
# with the former. A row stays in its place of these but for its status, which changes once, or never where the first
# attempt succeeds. `event_type` stands here and in the indexes so that a scan need not look anything up.
# Without SQLite's hidden row id the primary key is the table itself: one tree to write instead of two. Events
# keep it, because such a tree stores rows of over 1 kB badly.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("event_id", _ID, nullable=False),
    Column("hook", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("next_attempt_at", Double),
    Column("event_type", Text, nullable=False, server_default=""),
    Index("deliveries_event", "event_id", "id"),
    Index("deliveries_hook", "hook", "status", "event_id", "id", "event_type"),
    Index(
        "deliveries_status",
        "status",
        "event_id",
        "id",
        "event_type",
        sqlite_where=_NOT_SUCCESS,
        postgresql_where=_NOT_SUCCESS,
    ),
    Index("deliveries_updated", "updated_at", "id", "hook", "status", "event_type"),
    sqlite_with_rowid=False,
)

attempts = Table(
    "attempts",
    metadata,
    Column("delivery_id", _ID, primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("started_at", Double, nullable=False),
    Column("duration_ms", Double, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status_code", Integer),
    Column("response", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("escaped", Text),
    # What was sent and heard beside the bodies: bridge.wire.evidence.
    Column("evidence", Text),
    sqlite_with_rowid=False,
)

# What stays the same in many attempts.
evidence_forms = Table(
    "evidence_forms",
    metadata,
    Column("id", Text, primary_key=True),
    Column("form", Text, nullable=False),
    Column("used_at", Double, nullable=False),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("source", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("quarantined_at", Double, nullable=False),
    Column("exchange", Text, nullable=False),
    Column("routing_key", Text, nullable=False),
    Column("properties", Text),
    Column("headers", Text),
    Column("body", LargeBinary, nullable=False),
    Column("escaped", Text),
    Index("quarantine_age", "quarantined_at"),
    Index("quarantine_source", "source", "id"),
)

hook_states = Table(
    "hook_states",
    metadata,
    Column("hook", Text, primary_key=True),
    Column("paused", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("changed_at", Double, nullable=False),
    # What a person said of a hook from the file; NULL: as the file has it.
    Column("said_enabled", Boolean),
    Column("said_paused", Boolean),
)
