"""The deliveries that a replay took, and what became of them."""

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from bridge.core.base import value
from bridge.core.delivery import Status
from bridge.core.records import Restart
from bridge.db.admin_tables import replayed
from bridge.db.scan import as_id, as_literal
from bridge.db.tables import deliveries
from bridge.db.upserts import any_insert, keep_the_first

MOST_COUNTED = 20_000
"""Maximum deliveries of a replay that are looked up."""


@value(frozen=True, slots=True)
class Fates:
    """The present statuses of the deliveries that a replay took; `exact` False: of the first MOST_COUNTED."""

    succeeded: int
    failed: int
    waiting: int
    exact: bool


def note(connection: Connection, replay_id: str, taken: Sequence[Restart]) -> None:
    """Notes that the replay took these deliveries."""
    if taken:
        rows = [
            {"replay_id": replay_id, "event_id": each.event_id, "delivery_id": each.delivery_id}
            for each in taken
        ]
        connection.execute(keep_the_first(any_insert(connection, replayed), replayed), rows)


def fates(connection: Connection, replay_id: str) -> Fates:
    """Returns what became of the deliveries that the replay took."""
    c = replayed.c
    some = (
        select(c.delivery_id)
        .where(c.replay_id == as_id(replay_id))
        .limit(as_literal(MOST_COUNTED + 1))
        .subquery()
    )
    joined = some.join(deliveries, deliveries.c.id == some.c.delivery_id)
    counted = select(deliveries.c.status, func.count()).select_from(joined).group_by(deliveries.c.status)
    counts: dict[str, int] = dict(connection.execute(counted).all())
    total = sum(counts.values())
    succeeded, failed = counts.get(str(Status.SUCCESS), 0), counts.get(str(Status.FAILED), 0)
    return Fates(succeeded, failed, total - succeeded - failed, exact=total <= MOST_COUNTED)
