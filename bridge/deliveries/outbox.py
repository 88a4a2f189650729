"""The outbox: deliveries that are retried or cancelled by hand, with their generations raised in the same transaction."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, delete, exists, func, insert, or_, select, update

from bridge.core.delivery import Status
from bridge.core.records import KnownEvent, Restart
from bridge.db.admin_tables import outbox
from bridge.db.engine import Reads, Store, Writes
from bridge.db.rows import FINAL_STATUSES
from bridge.db.scan import among, as_id
from bridge.db.tables import deliveries, events
from bridge.history.known import event_of
from bridge.history.sums import count_ends, take_back

RESTARTED = "restarted"
CANCELLED = "cancelled"
_AT_ONCE = 200
_WAITING = sorted(str(status) for status in Status if status not in FINAL_STATUSES)


def restart_some(
    connection: Connection, delivery_ids: Iterable[str], at: float, statuses: Iterable[Status]
) -> list[Restart]:
    """Raises the generation of the deliveries that have one of the statuses and whose event still exists, sets them to PENDING,
    and adds them to the outbox, within the connection's transaction.
    """
    c = deliveries.c
    known = sorted({known for each in delivery_ids if (known := as_id(each)) is not None})
    if not known:
        return []
    # Selected by id: the bare column would use an index of all deliveries that ever failed.
    status = func.coalesce(c.status, "")
    mine = and_(among(connection, c.id, known), status.in_(sorted(str(each) for each in statuses)))
    # In a fixed order, as the commits of the pipeline, to avoid deadlocks.
    before = connection.execute(
        select(c.id, c.hook, c.status, c.updated_at).where(mine).order_by(c.id).with_for_update()
    ).all()
    there = exists().where(events.c.id == c.event_id)
    changed = connection.execute(
        update(deliveries)
        .where(mine, there)
        .values(_anew(Status.PENDING, RESTARTED, at))
        .returning(c.id, c.event_id, c.hook, c.generation, c.attempts)
    )
    found = sorted((_restart_of(row) for row in changed.mappings()), key=lambda each: each.delivery_id)
    _put_in(connection, found, at)
    restarted = {each.delivery_id for each in found}
    final = (row for row in before if row.id in restarted and row.status in FINAL_STATUSES)
    take_back(connection, ((row.hook, row.status, row.updated_at) for row in final))
    return found


def _put_in(connection: Connection, restarts: Sequence[Restart], at: float) -> None:
    if restarts:
        ids = [each.delivery_id for each in restarts]
        connection.execute(delete(outbox).where(among(connection, outbox.c.delivery_id, ids)))
        connection.execute(
            insert(outbox),
            [
                {"delivery_id": each.delivery_id, "generation": each.generation, "put_at": at}
                for each in restarts
            ],
        )


def _cancel(connection: Connection, delivery_id: str, at: float) -> bool:
    """Sets the delivery to FAILED `cancelled`, with a new generation; returns False if it is final or unknown."""
    known = as_id(delivery_id)
    if known is None:
        return False
    c = deliveries.c
    changed = connection.execute(
        update(deliveries)
        .where(c.id == known, c.status.in_(_WAITING))
        .values(_anew(Status.FAILED, CANCELLED, at))
        .returning(c.hook)
    )
    hook = changed.scalar_one_or_none()
    connection.execute(delete(outbox).where(outbox.c.delivery_id == known))
    if hook is not None:
        count_ends(connection, [(hook, str(Status.FAILED), at)])
    return hook is not None


def _cancel_some(connection: Connection, delivery_ids: Iterable[str], at: float) -> list[str]:
    """Cancels these deliveries as `_cancel` does, in a fixed order to avoid deadlocks; returns those that waited."""
    return [each for each in sorted(delivery_ids) if _cancel(connection, each, at)]


def _left(
    connection: Connection, older_than: float, limit: int
) -> tuple[list[Restart], list[tuple[str, int]]]:
    """Returns the restarts still to be published, oldest first; and obsolete entries."""
    c = deliveries.c
    oldest = (
        select(outbox).where(outbox.c.put_at < older_than).order_by(outbox.c.put_at).limit(limit).subquery()
    )
    waits = and_(c.id == oldest.c.delivery_id, c.generation == oldest.c.generation, c.status.in_(_WAITING))
    rows = connection.execute(
        select(
            oldest.c.delivery_id,
            oldest.c.generation.label("put_in"),
            c.id,
            c.event_id,
            c.hook,
            c.generation,
            c.attempts,
        )
        .select_from(oldest.outerjoin(deliveries, waits))
        .order_by(oldest.c.put_at)
    )
    every = rows.mappings().all()
    return (
        [_restart_of(row) for row in every if row["id"] is not None],
        [(row["delivery_id"], row["put_in"]) for row in every if row["id"] is None],
    )


def _sizes(connection: Connection, event_ids: Sequence[str]) -> dict[str, int]:
    c = events.c
    size = func.length(c.body) + func.coalesce(func.length(c.headers), 0)
    return dict(connection.execute(select(c.id, size).where(among(connection, c.id, event_ids))).all())


def _whole(connection: Connection, event_ids: Sequence[str]) -> list[KnownEvent]:
    chosen = select(events).where(among(connection, events.c.id, event_ids))
    return [event_of(row) for row in connection.execute(chosen).mappings()]


def _anew(status: Status, reason: str, at: float) -> dict[str, Any]:
    """Returns the values of the next generation of a delivery."""
    generation = deliveries.c.generation + 1
    said = {"status": str(status), "reason": reason, "updated_at": at}
    return {"generation": generation, "next_attempt_at": None, **said}


def _restart_of(row: RowMapping) -> Restart:
    return Restart(row["id"], row["event_id"], row["hook"], row["generation"], row["attempts"])


def _take_out(connection: Connection, entries: Sequence[tuple[str, int]]) -> None:
    """Removes the entries of these generations; later restarts stay."""
    c = outbox.c
    for start in range(0, len(entries), _AT_ONCE):
        some = entries[start : start + _AT_ONCE]
        those = or_(*(and_(c.delivery_id == one, c.generation == generation) for one, generation in some))
        connection.execute(delete(outbox).where(those))


class SqlOutbox(Store):
    """The transactional outbox: deliveries whose new copy is not published yet. Each method raises HistoryUnavailable.

    A manual retry first raises the delivery's generation and adds the delivery to the outbox, in one transaction; then
    publishes its copy; then removes it from the outbox. A crash at any point at most repeats the publish, and the fence
    drops the second copy.
    """

    restart = Writes(restart_some)
    cancel = Writes(_cancel)
    cancel_some = Writes(_cancel_some)
    sizes = Reads(_sizes)
    whole_events = Reads(_whole)

    async def outbox(self, older_than: float, limit: int) -> Sequence[Restart]:
        found, overtaken = await self.engine.read(partial(_left, older_than=older_than, limit=limit))
        if overtaken:
            await self.engine.write(partial(_take_out, entries=overtaken))
        return found

    async def sent(self, restarts: Sequence[Restart]) -> None:
        entries = [(each.delivery_id, each.generation) for each in restarts]
        if entries:
            await self.engine.write(partial(_take_out, entries=entries))
