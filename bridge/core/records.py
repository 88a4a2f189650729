"""What people ask of the history: lists in pages, and one thing with all that belongs to it."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from bridge.core.base import value
from bridge.core.delivery import KnownEvidence, Status
from bridge.core.event import Content, Event, Message

T = TypeVar("T")


@value(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, newest first; `next` is where the following one begins, None at the end.

    A page with a `next` is full, unless what is asked for is so rare that it was not among what could be looked at in
    time: then it is short, even empty.
    """

    items: tuple[T, ...]
    next: str | None


@value(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries: those that every given field fits. Times are Unix seconds: `since` until before `until` of the
    event's receipt, `updated_since` until before `updated_until` of when the delivery became what it is.
    """

    hook: str | None = None
    statuses: frozenset[Status] = frozenset()
    event_type: str | None = None
    event_id: str | None = None
    since: float | None = None
    until: float | None = None
    updated_since: float | None = None
    updated_until: float | None = None
    by_update: bool = False
    """In the order in which they became what they are (final: when they became final), not in that of receipt; a
    filter by that time goes with this order only.
    """


class EventStatus(StrEnum):
    """What came of an event: hooks asked for it, those that did are all disabled (or it is a duplicate), or none did."""

    MATCHED = "matched"
    SKIPPED = "skipped"
    UNMATCHED = "unmatched"


@value(frozen=True, slots=True)
class EventFilter:
    """Which events: those that every given field fits. Times are Unix seconds of the receipt, from `since` until
    before `until`.
    """

    source: str | None = None
    type: str | None = None
    publisher_id: str | None = None
    since: float | None = None
    until: float | None = None
    status: EventStatus | None = None
    webhook_id: str | None = None
    dimensions: tuple[tuple[str, str], ...] = ()
    """Dimensions of its source, each with the key that the event has of it."""


@value(frozen=True, slots=True)
class KnownAttempt:
    """One try as it is recorded. `started_at` in Unix seconds."""

    number: int
    generation: int
    started_at: float
    duration_ms: float
    outcome: str
    status_code: int | None
    response: str
    error: str
    evidence: KnownEvidence | None = None


@value(frozen=True, slots=True)
class LastAttempt:
    """What the latest try of a delivery came to. `at` in Unix seconds."""

    at: float
    duration_ms: float
    outcome: str
    status_code: int | None
    error: str


@value(frozen=True, slots=True)
class KnownDelivery:
    """A delivery as it is recorded; `attempts` is the count. Times in Unix seconds."""

    id: str
    event_id: str
    event_type: str
    hook: str
    target: str
    status: Status
    reason: str
    generation: int
    attempts: int
    created_at: float
    updated_at: float
    next_attempt_at: float | None
    last: LastAttempt | None = None
    """None where nothing was tried."""


@value(frozen=True, slots=True)
class Beyond:
    """How many entries of a list come behind a page; `exact` False: at least so many."""

    count: int
    exact: bool


@value(frozen=True, slots=True)
class KnownEvent:
    """An event as it is recorded, without what was parsed of it.

    `message` has its bytes and headers; in a list it has neither, nor properties. `status` is told in lists only, and
    so is `counts`, of its deliveries by status; None where these are too many to count.
    """

    id: str
    source: str
    type: str
    format: str
    publisher_id: str | None
    webhook_id: str
    time: str | None
    received_at: float
    identity: str | None
    message: Message
    status: EventStatus | None = None
    counts: Mapping[Status, int] | None = None

    def as_routed(self, content: Content) -> Event:
        """The event as it was routed, with what was parsed of it."""
        return Event(
            id=self.id,
            source=self.source,
            type=self.type,
            format=self.format,
            received_at=self.received_at,
            message=self.message,
            data=content.data,
            time=self.time,
            publisher_id=self.publisher_id,
            identity=self.identity,
            webhook_id=self.webhook_id,
            parsed=content.parsed,
            data_fault=content.fault,
        )


class Records(Protocol):
    """Reading the history. Every call answers within 200 ms on five million deliveries. Lists are in the order of
    receipt: by the event's id, and the delivery's within it; deliveries on request in that of their last change.

    `after` is the `next` of the page before; ValueError for one that is none of ours. Raises HistoryUnavailable.
    """

    async def deliveries(
        self, which: DeliveryFilter, *, after: str | None, limit: int
    ) -> Page[KnownDelivery]: ...

    async def deliveries_beyond(self, which: DeliveryFilter, *, after: str) -> Beyond: ...

    async def delivery(self, delivery_id: str) -> tuple[KnownDelivery, Sequence[KnownAttempt]] | None: ...

    async def events(self, which: EventFilter, *, after: str | None, limit: int) -> Page[KnownEvent]: ...

    async def whole_events(
        self, which: EventFilter, *, after: str | None, limit: int, most_bytes: int
    ) -> Page[KnownEvent]:
        """As `events`, with bodies and headers, of at most so many bytes together or of one event."""
        ...

    async def listed_events(self, ids: Sequence[str]) -> Sequence[KnownEvent]:
        """These events as `events` tells them, the newest first."""
        ...

    def behind(self, event_id: str) -> str:
        """Where a list of events goes on behind this one."""
        ...

    async def events_beyond(self, which: EventFilter, *, after: str) -> Beyond: ...

    async def event(self, event_id: str) -> tuple[KnownEvent, Sequence[KnownDelivery]] | None: ...


# Where a replay stands.


class ReplayStatus(StrEnum):
    """The status of a replay; the last three are final."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"
