"""Tables that keep work from being done twice or by another bridge, messages from being forged, and one from ending the
process again and again.
"""

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, LargeBinary, String, Table, Text
from sqlalchemy.dialects import postgresql

from bridge.storage.tables import metadata

_ID = String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")

# What sources with `dedupe` have taken: `digest` is that of source and key, `event_id` the first event with it, `holder`
# the process that has it under way (empty: nobody), which renews `claimed_at` meanwhile, `done` that all deliveries of
# the event have their fate. A row counts until the Unix time `until`.
claims = Table(
    "claims",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("event_id", _ID, nullable=False),
    Column("holder", Text, nullable=False),
    Column("claimed_at", Double, nullable=False),
    Column("until", Double, nullable=False),
    Column("done", Boolean, nullable=False),
    Index("claims_until", "until"),
)

# Messages that were under way when a process ended without stopping in order: in how many such lives (`times`), the
# last of them being that of `replica`.
suspects = Table(
    "suspects",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("replica", Text, nullable=False),
    Column("times", Integer, nullable=False),
    Column("noted_at", Double, nullable=False),
    Index("suspects_age", "noted_at"),
)

# What the codes of the bridge's own messages are made with where `storage.encryption_keys` is empty: one row, with id 1.
message_keys = Table(
    "message_keys",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("secret", LargeBinary, nullable=False),
)

# Whose history this is, in the one row with `id` 1: a prefix, and the broker by the name of its cluster and the virtual
# host. `history` tells it from the history of another bridge with the same prefix.
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

# How far streams have been read: all messages up to offset `reached`, and those beyond it whose bits are set in `ahead`, in
# hexadecimal. `digest` is that of the message at `reached`, `epoch` counts how often the stream was found to be another
# one. Where nothing was read yet, reading begins at the Unix time `since`.
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
