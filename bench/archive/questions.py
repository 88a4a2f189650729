"""What people ask of a large history, each with the time that it takes."""

import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import product
from statistics import median
from typing import Any

from bench.archive import rows
from bench.archive.answer import Answer
from bridge.core.delivery import Status
from bridge.core.records import DeliveryFilter, EventFilter, Page
from bridge.history.history import SqlHistory

LIMIT = 50
_TIMES = 5
_PAGES = 4

Ask = Callable[[str | None], Awaitable[Page[Any]]]


async def answers(records: SqlHistory) -> list[Answer]:
    """Every question's."""
    asked = [*_delivery_lists(records), *_event_lists(records)]
    return [await _measure(title, ask) for title, ask in asked] + [await _single(records)]


async def _measure(title: str, ask: Ask) -> Answer:
    took: list[float] = []
    first: Page[Any] | None = None
    for _ in range(_TIMES):
        after: str | None = None
        for _ in range(_PAGES):
            started = time.perf_counter()
            page = await ask(after)
            took.append((time.perf_counter() - started) * 1000)
            first, after = first or page, page.next
            if after is None:
                break
    assert first is not None
    short = len(first.items) < LIMIT and first.next is not None
    return Answer(title, took[0], median(took), max(took), len(first.items), short)


async def _single(records: SqlHistory) -> Answer:
    """A delivery and its event, each by its id."""
    took: list[float] = []
    newest = await records.deliveries(DeliveryFilter(), after=None, limit=LIMIT)
    for item in newest.items:
        started = time.perf_counter()
        assert await records.delivery(item.id) is not None
        assert await records.event(item.event_id) is not None
        took.append((time.perf_counter() - started) * 1000)
    return Answer("one delivery, one event", took[0], median(took), max(took), 1, short=False)


def _delivery_lists(records: SqlHistory) -> Iterator[tuple[str, Ask]]:
    hooks = (None, rows.BUSY, rows.DEAD, rows.QUIET, rows.FILTERED, "unknown")
    statuses = ((), ("SUCCESS",), ("FAILED",), ("RETRYING",), ("PENDING", "RETRYING"))
    kinds = (None, rows.FREQUENT, rows.RARE, rows.IMPORTED, rows.IGNORED, "unknown")
    spans = (None, (rows.END - 4 * 86_400, rows.END - 3 * 86_400))
    for hook, status, kind, span, by_update in product(hooks, statuses, kinds, spans, (False, True)):
        since, until = span or (None, None)
        which = DeliveryFilter(
            hook=hook,
            statuses=frozenset(Status(one) for one in status),
            event_type=kind,
            since=None if by_update else since,
            until=None if by_update else until,
            by_update=by_update,
            updated_since=since if by_update else None,
            updated_until=until if by_update else None,
        )
        told = (
            hook and f"hook {hook}", "+".join(status), kind and f"type {kind}", span and "a day long ago",
            "by final time" if by_update else None,
        )  # fmt: skip
        yield "deliveries: " + (", ".join(filter(None, told)) or "all"), _deliveries(records, which)


def _deliveries(records: SqlHistory, which: DeliveryFilter) -> Ask:
    return lambda after: records.deliveries(which, after=after, limit=LIMIT)


def _event_lists(records: SqlHistory) -> Iterator[tuple[str, Ask]]:
    sources = (None, *rows.SOURCES, rows.SELDOM, "unknown")
    kinds = (None, rows.FREQUENT, rows.RARE, rows.IMPORTED, rows.IGNORED, "unknown")
    spans = (None, (rows.END - 4 * 86_400, rows.END - 3 * 86_400))
    for source, kind, span in product(sources, kinds, spans):
        since, until = span or (None, None)
        told = (source and f"source {source}", kind and f"type {kind}", span and "a day long ago")
        which = EventFilter(source=source, type=kind, since=since, until=until)
        yield "events: " + (", ".join(filter(None, told)) or "all"), _events(records, which)
    yield "events: by publisher's id, unknown", _events(records, EventFilter(publisher_id="0123456789abcdef"))


def _events(records: SqlHistory, which: EventFilter) -> Ask:
    return lambda after: records.events(which, after=after, limit=LIMIT)
