"""The tables of API resources, coordination and statistics; times as in tables.py."""

import sqlalchemy as sa

from bridge.db.tables import ID, metadata, where
from bridge.db.upserts import any_insert

hooks = sa.Table(
    "hooks",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("sealed", sa.LargeBinary),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("deleting", sa.Text, nullable=False, server_default=""),
    sa.Index("hooks_name", "name", unique=True, **where("deleting <> 'gone'")),
)

# The versions of a hook, encrypted, without its secrets.
hook_versions = sa.Table(
    "hook_versions",
    metadata,
    sa.Column("hook", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# The counters: one row for each, so that two replicas never get the same number.
revisions = sa.Table(
    "revisions",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Integer, nullable=False),
)

replicas = sa.Table(
    "replicas",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("targets", sa.Text, nullable=False),
    sa.Column("started_at", sa.Double, nullable=False),
    sa.Column("seen_at", sa.Double, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("settled", sa.Integer, nullable=False),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("until", sa.Double, nullable=False),
)

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False, unique=True),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("last_used_at", sa.Double),
    sa.Column("expires_at", sa.Double),
    sa.Column("revoked_at", sa.Double),
    sa.Index("tokens_name", "name", unique=True, **where("revoked_at IS NULL")),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("object_type", sa.Text, nullable=False),
    sa.Column("object_id", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("remote", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Index("audit_object", "object_type", "object_id", "id"),
    sa.Index("audit_actor", "actor", "id"),
    sa.Index("audit_action", "action", "id"),
    sa.Index("audit_request", "request_id", "id"),
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("delivery_id", ID, primary_key=True),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("put_at", sa.Double, nullable=False),
    sa.Index("outbox_age", "put_at"),
)

idempotency = sa.Table(
    "idempotency",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("answer", sa.Text),
    sa.Column("at", sa.Double, nullable=False),
    sa.Index("idempotency_age", "at"),
)

replays = sa.Table(
    "replays",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("which", sa.Text, nullable=False),
    sa.Column("rate", sa.Double),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("exact", sa.Boolean, nullable=False),
    sa.Column("done", sa.Integer, nullable=False),
    sa.Column("left_out", sa.Integer, nullable=False),
    # The position in the remaining deliveries: by hook the key (event, delivery) after which to continue, as JSON; empty at
    # first.
    sa.Column("remaining", sa.Text, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("finished_at", sa.Double),
    sa.Column("error", sa.Text, nullable=False),
    sa.Index("replays_status", "status"),
)

# The deliveries that a replay took, in the order of lists.
replayed = sa.Table(
    "replayed",
    metadata,
    sa.Column("replay_id", ID, primary_key=True),
    sa.Column("event_id", ID, primary_key=True),
    sa.Column("delivery_id", ID, primary_key=True),
    sa.Index("replayed_event", "event_id"),
    sqlite_with_rowid=False,
)

hook_health = sa.Table(
    "hook_health",
    metadata,
    sa.Column("hook", sa.Text, primary_key=True),
    sa.Column("last_attempt_at", sa.Double),
    sa.Column("last_success_at", sa.Double),
    sa.Column("last_failure_at", sa.Double),
    sa.Column("failing_since", sa.Double),
    sa.Column("failed_attempts", sa.Integer, nullable=False),
    sa.Column("failed_deliveries", sa.Integer, nullable=False),
    sa.Column("warned", sa.Integer, nullable=False, server_default="0"),
    # The start of the failing period in which that level was reported: a success, or a change by a person, begins another
    # period.
    sa.Column("warned_since", sa.Double),
)

# `grain` is the length of a step in seconds: 60, 3600, 86400; `start` its beginning in Unix seconds, a multiple of it. The row
# of the empty hook has the sums of all. Rows change with nearly every commit: free space in their pages saves PostgreSQL
# updates of the index.
_ROOM = {"fillfactor": 50}

sums = sa.Table(
    "sums",
    metadata,
    sa.Column("grain", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("hook", sa.Text, primary_key=True),
    sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("succeeded", sa.Integer, nullable=False),
    sa.Column("failed", sa.Integer, nullable=False),
    sa.Column("skipped", sa.Integer, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("attempts_failed", sa.Integer, nullable=False),
    sa.Column("duration_ms", sa.Double, nullable=False),
    sa.Index("sums_start", "grain", "start"),
    sqlite_with_rowid=False,
    postgresql_with=_ROOM,
)

durations = sa.Table(
    "durations",
    metadata,
    sa.Column("grain", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("hook", sa.Text, primary_key=True),
    sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("bucket", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Index("durations_start", "grain", "start"),
    sqlite_with_rowid=False,
    postgresql_with=_ROOM,
)

# Failed attempts by hook, outcome and code (NO_CODE: none), and the deliveries whose last attempt it was when they became FAILED.
failures = sa.Table(
    "failures",
    metadata,
    sa.Column("grain", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("hook", sa.Text, primary_key=True),
    sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("outcome", sa.Text, primary_key=True),
    sa.Column("code", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("deliveries", sa.Integer, nullable=False),
    sa.Index("failures_start", "grain", "start"),
    sqlite_with_rowid=False,
    postgresql_with=_ROOM,
)

# The measures of sources (`sources[].dimensions`): `key` is a value of `dimension`, both empty for all events together;
# `measure` is the name of a numeric dimension, empty where events are counted.
measures = sa.Table(
    "measures",
    metadata,
    sa.Column("grain", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("dimension", sa.Text, primary_key=True),
    sa.Column("measure", sa.Text, primary_key=True),
    sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("event_type", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("amount", sa.Double, nullable=False),
    sa.Index("measures_start", "grain", "start"),
    sqlite_with_rowid=False,
    postgresql_with=_ROOM,
)


# The tables against duplicates, ownership conflicts, forged messages and poison messages.


# The claims of sources with `dedupe`: `digest` is that of source and key, `event_id` the first event with it, `holder` the
# process that delivers it (empty: none), which renews `claimed_at` meanwhile, `done` that all deliveries of the event have
# their fate. A row expires at the Unix time `until`.
claims = sa.Table(
    "claims",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("event_id", ID, nullable=False),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("claimed_at", sa.Double, nullable=False),
    sa.Column("until", sa.Double, nullable=False),
    sa.Column("done", sa.Boolean, nullable=False),
    sa.Index("claims_until", "until"),
)

# The messages in flight when a process ended uncleanly: in how many such runs (`times`), the last of which was that of
# `replica`.
suspects = sa.Table(
    "suspects",
    metadata,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("replica", sa.Text, nullable=False),
    sa.Column("times", sa.Integer, nullable=False),
    sa.Column("noted_at", sa.Double, nullable=False),
    sa.Index("suspects_age", "noted_at"),
)

# The key that signs the bridge's own messages if `storage.encryption_keys` is empty: one row, with id 1.
message_keys = sa.Table(
    "message_keys",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("secret", sa.LargeBinary, nullable=False),
)

# The owner of the history, in the one row with `id` 1: a prefix, and the broker by its cluster name and virtual host. `history`
# distinguishes it from the history of another bridge with the same prefix.
owners = sa.Table(
    "owners",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("prefix", sa.Text, nullable=False),
    sa.Column("broker", sa.Text, nullable=False),
    sa.Column("vhost", sa.Text, nullable=False),
    sa.Column("history", sa.Text, nullable=False),
    sa.Column("since", sa.Double, nullable=False),
)

# The committed offsets of streams: all messages up to offset `reached` are done, and those beyond it whose bits are set in
# `ahead`, in hexadecimal. `digest` is that of the message at `reached`, `epoch` counts how often the stream was found to be
# another one. If nothing was read yet, reading begins at the Unix time `since`.
stream_offsets = sa.Table(
    "stream_offsets",
    metadata,
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("reached", sa.BigInteger, nullable=False),
    sa.Column("ahead", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("since", sa.Double, nullable=False),
)


# The revision of hooks and their states, by which replicas notice changes.


_COUNTER = "hooks"


def next_revision(connection: sa.Connection) -> int:
    """Increments and returns the revision; other writers of hooks wait here until this transaction ends."""
    statement = any_insert(connection, revisions).values(name=_COUNTER, value=1)
    counted = statement.on_conflict_do_update(
        index_elements=[revisions.c.name], set_={"value": revisions.c.value + 1}
    )
    value: int = connection.execute(counted.returning(revisions.c.value)).scalar_one()
    return value


def revision(connection: sa.Connection) -> int:
    """Returns the present revision; 0: nothing was ever changed."""
    c = revisions.c
    return connection.execute(sa.select(c.value).where(c.name == _COUNTER)).scalar() or 0
