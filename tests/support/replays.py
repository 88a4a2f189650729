"""Replays as tests make them, and the history that they go over."""

from collections.abc import Sequence
from typing import Any

from bridge.core.delivery import Delivery, Record, Status
from bridge.core.records import Replay, ReplayFilter, ReplayStatus, Restart
from bridge.history.history import SqlHistory
from bridge.replays.store import SqlReplays
from tests.support.records import NOW, a_delivery, an_attempt, an_event, new_id

LATER = NOW + 1000


def failed(delivery: Delivery, *, at: float = NOW, status: Status = Status.FAILED) -> Record:
    """The record of a delivery that ended so after an attempt."""
    return Record(delivery, "webhook", status, "status_500", at, an_attempt(delivery.attempt, at=at))


def failures(count: int, hook: str = "crm", **event: Any) -> list[Record]:
    """So many of one hook, each of an event of its own, a second apart."""
    at = [NOW + number for number in range(count)]
    return [failed(a_delivery(an_event(each, **event), hook=hook), at=each) for each in at]


def a_replay(which: ReplayFilter | None = None, *hooks: str, at: float = LATER, **fields: Any) -> Replay:
    """One that was made at that time, for these hooks."""
    known: dict[str, Any] = {"rate": None, "status": ReplayStatus.PENDING, "total": 0, "exact": True}
    known |= {"done": 0, "left_out": 0, "left": dict.fromkeys(hooks or ("crm",), "")}
    return Replay(
        id=new_id(at),
        which=which or ReplayFilter(),
        created_at=at,
        created_by="admin",
        updated_at=at,
        **{**known, **fields},
    )


async def take_all(
    replays: SqlReplays, replay: Replay, *, limit: int = 100, at: float = LATER + 1
) -> tuple[Replay, list[Restart]]:
    """Take until every hook is through; the replay as it stands then, and what was taken."""
    taken: list[Restart] = []
    while replay.left:
        replay, some = await replays.take(replay, next(iter(replay.left)), limit, at)
        assert len(some) <= limit
        taken += some
    return replay, taken


async def added(replays: SqlReplays, replay: Replay) -> Replay:
    """The replay, stored."""
    await replays.add_replay(replay)
    return replay


async def statuses(history: SqlHistory, records: Sequence[Record]) -> list[Status]:
    """Where each of these deliveries stands."""
    found = [await history.delivery(record.delivery.id) for record in records]
    return [each[0].status for each in found if each is not None]
