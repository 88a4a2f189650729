"""The tables of the history, which docs/history.md explains for manual queries.

Times are Unix seconds (floating point): the driver accepts them as they are, they sort, and both databases convert them to
dates (`datetime(at, 'unixepoch')`, `to_timestamp(at)`). There are no foreign keys: an event is written in the same transaction
as its deliveries, and a check per row would be a cost of every delivery.
"""

from typing import Any

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

ID = String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
INDEXED_LENGTH = 200
"""Maximum characters of a publisher's id that is indexed."""
WEBHOOK_ID_OF_ITS_OWN = f"publisher_id IS NOT NULL AND length(webhook_id) BETWEEN 1 AND {INDEXED_LENGTH}"
"""The condition for events with a `webhook-id` other than their own id, which has to be indexed."""
NOT_SUCCESS = "status <> 'SUCCESS'"
"""The condition of the status index: nearly every delivery succeeds at once, and need not be indexed."""


def where(condition: str) -> dict[str, Any]:
    """Returns the options of an index that has only the rows that meet the condition."""
    return dict.fromkeys(("sqlite_where", "postgresql_where"), text(condition))


metadata = MetaData()

events = Table(
    "events",
    metadata,
    Column("id", ID, primary_key=True),
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
    # Ids of publishers are random: an index on them would dirty a page for each. By their last character they fall into a few
    # groups, each in the order of time, which are searched quickly.
    Index(
        "events_publisher",
        text("substr(publisher_id, length(publisher_id))"),
        "id",
        "publisher_id",
        **where(f"length(publisher_id) <= {INDEXED_LENGTH}"),
    ),
    Index(
        "events_webhook",
        text("substr(webhook_id, length(webhook_id))"),
        "id",
        "webhook_id",
        **where(WEBHOOK_ID_OF_ITS_OWN),
    ),
)

# The keys of an event by the dimensions of its source, for searching.
event_dimensions = Table(
    "event_dimensions",
    metadata,
    Column("dimension", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("event_id", ID, primary_key=True),
    Index("event_dimensions_event", "event_id"),
    sqlite_with_rowid=False,
)

# Lists are in the order of (event_id, id), which is that of receipt, or of (updated_at, id); each index but one ends with the
# former. A row keeps its position in them unless its status changes, which happens once, or never if the first attempt
# succeeds. `event_type` is here and in the indexes so that a scan needs no lookup. Without SQLite's hidden row id the primary
# key is the table itself: one tree to write instead of two. Events have a row id, because such a tree stores rows of over 1 kB
# badly.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", ID, primary_key=True),
    Column("event_id", ID, nullable=False),
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
    Index("deliveries_status", "status", "event_id", "id", "event_type", **where(NOT_SUCCESS)),
    Index("deliveries_updated", "updated_at", "id", "hook", "status", "event_type"),
    sqlite_with_rowid=False,
)

attempts = Table(
    "attempts",
    metadata,
    Column("delivery_id", ID, primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("started_at", Double, nullable=False),
    Column("duration_ms", Double, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status_code", Integer),
    Column("response", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("escaped", Text),
    # The request and response without the bodies: bridge.wire.evidence.
    Column("evidence", Text),
    sqlite_with_rowid=False,
)

# The parts of evidence that are equal in many attempts.
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
    Column("id", ID, primary_key=True),
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
    # The overlay of a hook of the file; NULL: as in the file.
    Column("said_enabled", Boolean),
    Column("said_paused", Boolean),
)
