"""Looking for events by what they hold: every one is read and asked, the newest first, within bounds."""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from bridge.core.base import value
from bridge.core.records import EventFilter, KnownEvent
from bridge.events.documents import as_event
from bridge.expressions.engine import Filter
from bridge.formats.parse import Bounds
from bridge.history.history import SqlHistory

MOST_LOOKED_AT = 20_000
"""Events that one page looks at."""
PATIENCE = 1.0
"""Seconds for which one page goes on looking."""
_AT_ONCE = 200
_MOST_BYTES = 4 * 1024 * 1024
"""Bodies that are in memory at a time."""
_UNPARSED = frozenset(
    {"id", "publisher_id", "type", "source", "time", "received_at", "headers", "format", "identity"}
)
"""Fields of which the history tells without a look into the body."""
_ASKING = ThreadPoolExecutor(1, thread_name_prefix="search")
"""One for all: what is asked of many bodies must not take the process."""


@value(frozen=True, slots=True)
class Searched:
    """What was found, and how far it was looked; `next` None: to the end.

    `back_to` is when the last event that was looked at was received, in Unix seconds; None where there was none.
    `unanswered` counts events of which the expression came to neither true nor false.
    """

    items: tuple[KnownEvent, ...]
    next: str | None
    looked_at: int
    unanswered: int
    back_to: float | None


class Search:
    """Asks events of the history an expression."""

    def __init__(self, records: SqlHistory, bounds: Bounds) -> None:
        """`bounds`: what is parsed of the bodies of events."""
        self._records = records
        self._bounds = bounds

    async def page(self, which: EventFilter, where: Filter, *, after: str | None, limit: int) -> Searched:
        """Up to `limit` events that fit both; ValueError for a cursor that is none. Raises HistoryUnavailable."""
        ends_at = time.monotonic() + PATIENCE
        found: list[KnownEvent] = []
        looked_at, unanswered, back_to = 0, 0, None
        while True:
            page = await self._records.whole_events(
                which, after=after, limit=min(_AT_ONCE, MOST_LOOKED_AT - looked_at), most_bytes=_MOST_BYTES
            )
            answers = await asyncio.get_running_loop().run_in_executor(
                _ASKING, partial(self._ask, page.items, where)
            )
            after = page.next
            for known, answer in zip(page.items, answers, strict=True):
                looked_at, back_to = looked_at + 1, known.received_at
                unanswered += answer is None
                if answer:
                    found.append(known)
                if len(found) == limit and known is not page.items[-1]:
                    after = self._records.behind(known.id)
                    break
            enough = len(found) >= limit or looked_at >= MOST_LOOKED_AT or time.monotonic() >= ends_at
            if after is None or enough:
                listed = await self._records.listed_events([known.id for known in found])
                return Searched(tuple(listed), after, looked_at, unanswered, back_to)

    def _ask(self, events: Sequence[KnownEvent], where: Filter) -> list[bool | None]:
        """What each of them answers, None for neither true nor false; a missing key is false."""
        return [self._answer(known, where) for known in events]

    def _answer(self, known: KnownEvent, where: Filter) -> bool | None:
        event = as_event(known, None if where.view.fields <= _UNPARSED else self._bounds)
        answer = where.ask(where.view.of(event), event)
        if isinstance(answer, bool):
            return answer
        return False if answer.missing else None
