"""Lines that an outage, a bug or an attacker repeats for every message: the first ones are told, the others counted."""

import time
from collections.abc import Callable

from structlog import DropEvent
from structlog.typing import EventDict, WrappedLogger

REPEATED = frozenset(
    {
        "api.unavailable",
        "broker.channel_lost",
        "broker.message_not_taken",
        "connection.lost",
        "control.forged",
        "copy.failed",
        "copy.stale",
        "copy.taken_from_history",
        "hook.bug",
        "http.bug",
        "http.malformed",
        "intake.bug",
        "lane.cannot_delay",
        "lane.not_available",
        "orphan.not_parked",
        "orphan.unknown",
        "outbox.not_published",
        "recall.history_unavailable",
    }
)
"""Of nothing else is a line left out: what is told once per thing must be told of each."""
_ABOUT = ("hook", "role", "source", "consumer")
_TOLD = 10
_SECONDS = 10.0
_MOST_KEYS = 1000


class Repeats:
    """A processor that lets ten lines of an event about one hook (or role, or source) through in ten seconds.

    How many were left out stands in the next one, as `left_out`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._spans: dict[tuple[str, str], _Span] = {}

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        """The line as it is, or with what was left out before it; raises DropEvent for one too many."""
        name = event.get("event", "")
        if name not in REPEATED:
            return event
        now = self._clock()
        span = self._span((name, next((str(event[each]) for each in _ABOUT if each in event), "")), now)
        if now - span.began >= _SECONDS:
            if span.left_out:
                event["left_out"] = span.left_out
            span.began, span.told, span.left_out = now, 0, 0
        if span.told >= _TOLD:
            span.left_out += 1
            raise DropEvent
        span.told += 1
        return event

    def _span(self, key: tuple[str, str], now: float) -> "_Span":
        found = self._spans.get(key)
        if found is None:
            if len(self._spans) >= _MOST_KEYS:
                # What is counted of an outage of a thousand hooks may be forgotten, memory may not grow with them.
                self._spans.clear()
            found = self._spans[key] = _Span(now)
        return found


class _Span:
    __slots__ = ("began", "left_out", "told")

    def __init__(self, began: float) -> None:
        self.began = began
        self.told = 0
        self.left_out = 0
