"""The key that codes of the bridge's own messages are made with, where the settings name none."""

import os
from functools import partial

from sqlalchemy import Connection, select

from bridge.db.admin_tables import message_keys
from bridge.db.engine import Engine
from bridge.db.upserts import any_insert, keep_the_first

_ONLY = 1
_BYTES = 32


async def stored_key(engine: Engine, *, make: bool) -> bytes | None:
    """The key of this history, the same for all replicas; made if there is none and `make`, else None.

    Raises HistoryUnavailable.
    """
    return await engine.write(partial(_stored_key, new=os.urandom(_BYTES) if make else None))


def _stored_key(connection: Connection, new: bytes | None) -> bytes | None:
    if new is not None:
        # Replicas that start together: the first one's stands, and is what all of them read.
        insert = any_insert(connection, message_keys).values(id=_ONLY, secret=new)
        connection.execute(keep_the_first(insert, message_keys))
    found: bytes | None = connection.scalar(select(message_keys.c.secret).where(message_keys.c.id == _ONLY))
    return None if found is None else bytes(found)
