"""The tables of API resources, coordination and statistics; times as in tables.py."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    select,
)

from bridge.db.tables import ID, metadata, where
from bridge.db.upserts import any_insert

hooks = Table(
    "hooks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("sealed", LargeBinary),
    Column("version", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("deleting", Text, nullable=False, server_default=""),
    Index("hooks_name", "name", unique=True, **where("deleting <> 'gone'")),
)

# The counters: one row for each, so that two replicas never get the same number.
revisions = Table(
    "revisions",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Integer, nullable=False),
)

replicas = Table(
    "replicas",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("targets", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("settled", Integer, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", Double, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("digest", Text, nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("last_used_at", Double),
    Column("expires_at", Double),
    Column("revoked_at", Double),
    Index("tokens_name", "name", unique=True, **where("revoked_at IS NULL")),
)

audit = Table(
    "audit",
    metadata,
    Column("id", ID, primary_key=True),
    Column("at", Double, nullable=False),
    Column("actor", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object_type", Text, nullable=False),
    Column("object_id", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("remote", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Index("audit_object", "object_type", "object_id", "id"),
    Index("audit_actor", "actor", "id"),
    Index("audit_action", "action", "id"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("delivery_id", ID, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("put_at", Double, nullable=False),
    Index("outbox_age", "put_at"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("key", Text, primary_key=True),
    Column("request", Text, nullable=False),
    Column("status", Integer),
    Column("answer", Text),
    Column("at", Double, nullable=False),
    Index("idempotency_age", "at"),
)

replays = Table(
    "replays",
    metadata,
    Column("id", ID, primary_key=True),
    Column("which", Text, nullable=False),
    Column("rate", Double),
    Column("status", Text, nullable=False),
    Column("total", Integer, nullable=False),
    Column("exact", Boolean, nullable=False),
    Column("done", Integer, nullable=False),
    Column("left_out", Integer, nullable=False),
    # The position in the remaining deliveries: by hook the key (event, delivery) after which to continue, as JSON; empty at
    # first.
    Column("remaining", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("finished_at", Double),
    Column("error", Text, nullable=False),
    Index("replays_status", "status"),
)

hook_health = Table(
    "hook_health",
    metadata,
    Column("hook", Text, primary_key=True),
    Column("last_attempt_at", Double),
    Column("last_success_at", Double),
    Column("last_failure_at", Double),
    Column("failing_since", Double),
    Column("failed_attempts", Integer, nullable=False),
    Column("failed_deliveries", Integer, nullable=False),
    Column("warned", Integer, nullable=False, server_default="0"),
    # The start of the failing period in which that level was reported: a success, or a change by a person, begins another
    # period.
    Column("warned_since", Double),
)

# `grain` is the length of a step in seconds: 60, 3600, 86400; `start` its beginning in Unix seconds, a multiple of it. The row
# of the empty hook has the sums of all. Rows change with nearly every commit: free space in their pages saves PostgreSQL
# updates of the index.
_ROOM = {"fillfactor": 50}

sums = Table(
    "sums",
    metadata,
    Column("grain", Integer, primary_key=True, autoincrement=False),
    Column("hook", Text, primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("succeeded", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("attempts_failed", Integer, nullable=False),
    Column("duration_ms", Double, nullable=False),
    Index("sums_start", "grain", "start"),
    sqlite_with_rowid=False,
    postgresql_with=_ROOM,
)

durations = Table(
    "durations",
    metadata,
    Column("grain", Integer, primary_key=True, autoincrement=False),
    Column("hook", Text, primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("bucket", Integer, primary_key=True, autoincrement=False),
    Column("attempts", Integer, nullable=False),
    Index("durations_start", "grain", "start"),
    sqlite_with_rowid=False,
    postgresql_with=_ROOM,
)

# The measures of sources (`sources[].dimensions`): `key` is a value of `dimension`, both empty for all events together;
# `measure` is the name of a numeric dimension, empty where events are counted.
measures = Table(
    "measures",
    metadata,
    Column("grain", Integer, primary_key=True, autoincrement=False),
    Column("source", Text, primary_key=True),
    Column("dimension", Text, primary_key=True),
    Column("measure", Text, primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("event_type", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("amount", Double, nullable=False),
    Index("measures_start", "grain", "start"),
    sqlite_with_rowid=False,
    postgresql_with=_ROOM,
)


# The tables against duplicates, ownership conflicts, forged messages and poison messages.


# The claims of sources with `dedupe`: `digest` is that of source and key, `event_id` the first event with it, `holder` the
# process that delivers it (empty: none), which renews `claimed_at` meanwhile, `done` that all deliveries of the event have
# their fate. A row expires at the Unix time `until`.
claims = Table(
    "claims",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("event_id", ID, nullable=False),
    Column("holder", Text, nullable=False),
    Column("claimed_at", Double, nullable=False),
    Column("until", Double, nullable=False),
    Column("done", Boolean, nullable=False),
    Index("claims_until", "until"),
)

# The messages in flight when a process ended uncleanly: in how many such runs (`times`), the last of which was that of
# `replica`.
suspects = Table(
    "suspects",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("replica", Text, nullable=False),
    Column("times", Integer, nullable=False),
    Column("noted_at", Double, nullable=False),
    Index("suspects_age", "noted_at"),
)

# The key that signs the bridge's own messages if `storage.encryption_keys` is empty: one row, with id 1.
message_keys = Table(
    "message_keys",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("secret", LargeBinary, nullable=False),
)

# The owner of the history, in the one row with `id` 1: a prefix, and the broker by its cluster name and virtual host. `history`
# distinguishes it from the history of another bridge with the same prefix.
owners = Table(
    "owners",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("prefix", Text, nullable=False),
    Column("broker", Text, nullable=False),
    Column("vhost", Text, nullable=False),
    Column("history", Text, nullable=False),
    Column("since", Double, nullable=False),
)

# The committed offsets of streams: all messages up to offset `reached` are done, and those beyond it whose bits are set in
# `ahead`, in hexadecimal. `digest` is that of the message at `reached`, `epoch` counts how often the stream was found to be
# another one. If nothing was read yet, reading begins at the Unix time `since`.
stream_offsets = Table(
    "stream_offsets",
    metadata,
    Column("queue", Text, primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("reached", BigInteger, nullable=False),
    Column("ahead", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("since", Double, nullable=False),
)


# The revision of hooks and their states, by which replicas notice changes.


_COUNTER = "hooks"


def next_revision(connection: Connection) -> int:
    """Increments and returns the revision; other writers of hooks wait here until this transaction ends."""
    statement = any_insert(connection, revisions).values(name=_COUNTER, value=1)
    counted = statement.on_conflict_do_update(
        index_elements=[revisions.c.name], set_={"value": revisions.c.value + 1}
    )
    value: int = connection.execute(counted.returning(revisions.c.value)).scalar_one()
    return value


def revision(connection: Connection) -> int:
    """Returns the present revision; 0: nothing was ever changed."""
    c = revisions.c
    return connection.execute(select(c.value).where(c.name == _COUNTER)).scalar() or 0
