"""Sums as the history has them, and what they must say."""

from collections import Counter
from dataclasses import replace
from typing import Any

from bridge.core.delivery import Attempt, Counted, Delivery, Record, Status
from bridge.core.records import Sums
from bridge.history.history import SqlHistory
from bridge.measuring.dimensions import Value
from bridge.measuring.spans import FAR
from bridge.stats.store import SqlStatistics
from tests.support.records import NOW, a_delivery, an_attempt, an_event, look

ALL_TIME = (0, FAR)


async def sums_of(history: SqlHistory, hook: str | None = "crm") -> Sums:
    """Of all time."""
    return await SqlStatistics(history.engine).sums(hook, *ALL_TIME)


async def ends(history: SqlHistory, hook: str | None = "crm") -> tuple[int, int, int]:
    """How many deliveries succeeded, failed, and were skipped."""
    found = await sums_of(history, hook)
    return found.succeeded, found.failed, found.skipped


async def ends_in_rows(url: str) -> tuple[int, int, int]:
    """The same, counted in the history itself."""
    counted = Counter(dict(await look(url, "SELECT status, count(*) FROM deliveries GROUP BY status")))
    return counted["SUCCESS"], counted["FAILED"], counted["SKIPPED"]


def failed_for_good(delivery: Delivery | None = None, *, at: float = NOW, **attempt: Any) -> Record:
    """The record of a delivery whose last attempt failed."""
    delivery = delivery or a_delivery()
    return Record(
        delivery, "webhook", Status.FAILED, "exhausted", at, failed_attempt(delivery.attempt, at, **attempt)
    )


def failed_attempt(number: int = 1, at: float = NOW, **fields: Any) -> Attempt:
    """An attempt that was answered with 500."""
    return replace(an_attempt(number, at=at, outcome="status", code=500), **fields)


def counted(
    values: dict[str, Value], *, at: float = NOW, source: str = "phlix", kind: str = "playback.ended"
) -> Counted:
    """An event that was measured."""
    return Counted(an_event(at, source=source, type=kind), values)


def played(user: str, media: str, seconds: float, *, completed: bool = True, at: float = NOW) -> Counted:
    """A playback of Phlix."""
    return counted({"user": user, "media": media, "duration": seconds, "completed": completed}, at=at)
