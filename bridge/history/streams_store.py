"""How far streams have been read, in the database."""

from collections.abc import Sequence
from functools import partial

from sqlalchemy import Connection, and_, or_, select

from bridge.core.delivery import Reached
from bridge.db.admin_tables import stream_offsets
from bridge.db.engine import Reads, Store
from bridge.db.upserts import inserting


def reach(connection: Connection, places: Sequence[Reached]) -> None:
    """Write down how far streams have been read; nobody goes back, but in a stream that was made anew."""
    c = stream_offsets.c
    for one in {each.queue: each for each in places}.values():
        row = {
            "queue": one.queue,
            "epoch": one.epoch,
            "reached": one.offset,
            "ahead": f"{one.ahead:x}",
            "digest": one.digest,
            "since": one.since,
        }
        insert = inserting(connection)(stream_offsets).values(row)
        new = insert.excluded
        further = or_(new.epoch > c.epoch, and_(new.epoch == c.epoch, new.reached >= c.reached))
        changing = {name: new[name] for name in row if name != "queue"}
        connection.execute(
            insert.on_conflict_do_update(index_elements=[c.queue], set_=changing, where=further)
        )


def _stored(connection: Connection, queue: str) -> Reached | None:
    """Returns the committed offset of the queue; None if it was never read."""
    row = connection.execute(select(stream_offsets).where(stream_offsets.c.queue == queue)).first()
    if row is None:
        return None
    return Reached(row.queue, row.reached, int(row.ahead or "0", 16), row.digest, row.epoch, row.since)


class SqlStreams(Store):
    """The store to the committed offsets of streams. Each method raises HistoryUnavailable."""

    stored = Reads(_stored)

    async def store(self, reached: Reached) -> None:
        await self.engine.write(partial(reach, places=[reached]))
