"""The one rule: a broker message is settled last, once, when all it carries has a committed fate. Also the decoded message
between decoding and routing, with the remaining deliveries of each event.
"""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar, TypeVarTuple

from bridge.core.base import value
from bridge.core.delivery import Delivery, Reached
from bridge.core.event import Event, Message, Received, Source, Undecodable
from bridge.core.guards import Earlier, EventKey
from bridge.core.ports import AckHandle
from bridge.telemetry.metrics import SourceMetrics

_SWEEP_FROM = 256

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

SettledCallback = Callable[[bool], None]
"""Called once when no delivery of a message is in flight any more: with True if all have a committed fate, with False if the
broker will redeliver the message.
"""


@dataclass(slots=True)
class InFlight:
    """The number of deliveries that this process holds without a committed fate."""

    open: int = 0


class Place(Protocol):
    """The position of a message in a stream."""

    @property
    def reader(self) -> "Reader":
        """Returns the reader of the stream."""
        ...

    @property
    def offset(self) -> int:
        """Returns the offset of the message."""
        ...


class Reader(Protocol):
    """The progress of reading a stream."""

    @property
    def unsaved(self) -> bool:
        """Returns whether the stream was read further than is committed."""
        ...

    def reached_with(self, offsets: Collection[int]) -> Reached | None:
        """Returns the offset up to which everything is done once these messages are; None if that is committed already."""
        ...

    def committed(self, reached: Reached) -> None:
        """Notes that this progress is committed."""
        ...


class Settlement:
    """The settlement of one broker message: counts the shares without a committed fate, and acks after the last one.

    The reader of a message holds its only share at first, and replaces it by one for each delivery and each record of the
    message; a copy has one share, its delivery. With a `park_reason`, its deliveries go into their lanes without an attempt.
    """

    __slots__ = (
        "__weakref__",
        "_complete",
        "_last",
        "_load",
        "_metrics",
        "_on_settled",
        "handed_out",
        "open",
        "park_reason",
        "place",
        "source",
        "started",
        "ticket",
    )

    def __init__(
        self,
        ticket: AckHandle,
        source: str,
        load: InFlight,
        metrics: SourceMetrics | None = None,
        on_settled: SettledCallback | None = None,
    ) -> None:
        """`metrics` count the settled messages of a source; None for a copy of ours."""
        self.ticket = ticket
        self._load = load
        self._metrics = metrics
        self._complete = True
        self._on_settled = on_settled
        self._last: Callable[[Settlement], None] | None = None
        self.source = source
        self.open = 1
        self.started = False
        self.handed_out = False
        self.park_reason = ""
        self.place: Place | None = None
        load.open += 1

    @property
    def valid(self) -> bool:
        """Returns whether the message can still be settled; else the broker redelivers it, and deliveries need not start."""
        return self.ticket.valid

    def ends_with(self, fates: int) -> bool:
        """Returns whether the message is complete once `fates` more of its shares have committed fates."""
        return self.open == fates and self._complete and self._last is None

    @property
    def complete(self) -> bool:
        """Returns whether everything that the message carried has a committed fate."""
        return self.open == 0 and self._complete

    def grow(self, byte_count: int) -> None:
        """Counts more bytes in the memory budget for the message, until it is released."""
        self.ticket.grow(byte_count)

    def before_ack(self, say: "Callable[[Settlement], None]") -> None:
        """Calls `say` when all shares have a committed fate; entries that it adds are committed before the ack."""
        self._last = say

    def hand_out(self, shares: int) -> None:
        """Replaces the reader's share by `shares`, before any of them may end; 0 if nothing remains to be done. One of them may be
        the reader's again, which it replaces later.
        """
        self.handed_out = True
        if shares:
            self._load.open += shares - 1
            self.open += shares - 1
        else:
            self.fate_committed()

    def fate_committed(self) -> None:
        """Ends one share; after the last one the message is finished, and acked with the next flush."""
        self.started = True
        if self._last is not None and self.open == 1 and self._complete:
            say, self._last = self._last, None
            say(self)  # it takes the place of this share
            return
        self._one_less()
        if self.open == 0 and self._complete:
            self.ticket.finish()
            if self._metrics is not None:
                self._metrics.settled["acked"].value += 1

    def drop_one(self) -> None:
        """Gives up one share: the message stays unsettled, so the broker redelivers it."""
        self._complete = False
        self._one_less()
        if self.open == 0:
            self.ticket.release()

    def drop(self, shares: int) -> None:
        """Gives up so many shares."""
        for _ in range(shares):
            self.drop_one()

    def _one_less(self) -> None:
        self.open -= 1
        self._load.open -= 1
        if self.open == 0 and self._on_settled is not None:
            self._on_settled(self._complete)

    def requeue(self) -> None:
        """Returns the message to the broker, if none of its deliveries has started."""
        self._load.open -= self.open
        self.open = -1
        self.ticket.requeue()
        if self._metrics is not None:
            self._metrics.settled["given_back"].value += 1
        if self._on_settled is not None:
            self._on_settled(False)


Follow = Callable[
    [Source, Message, SettledCallback | None, Callable[[SettledCallback], Settlement]], Settlement
]
"""See bridge.pipeline.traced.Spans.follow."""


@dataclass(slots=True, eq=False)
class Work:
    """A delivery in this process, with the settlement of its message."""

    delivery: Delivery
    settlement: Settlement
    from_lane: bool = False
    probe: bool = False


class UnderWay:
    """The messages of this process whose fate is open, by the ids of their events."""

    def __init__(self) -> None:
        self._messages: dict[str, Settlement] = {}
        self._sweep_at = _SWEEP_FROM

    def add(self, event_id: str, settlement: Settlement) -> None:
        """Adds a message under the id of its event; `get` returns it while its fate is open."""
        self._messages[event_id] = settlement
        if len(self._messages) > self._sweep_at:
            # Settled messages are removed in bulk: removing each one as it is settled would cost every message some time.
            self._messages = {each: one for each, one in self._messages.items() if one.open > 0}
            self._sweep_at = 2 * len(self._messages) + _SWEEP_FROM

    def get(self, event_id: str) -> Settlement | None:
        """Returns the message with this event, None if its fate is not open."""
        found = self._messages.get(event_id)
        return found if found is not None and found.open > 0 else None


# The boundary for unexpected errors, which are bugs: the pipeline catches them nowhere else. A bug must not end the process or
# a task that serves all messages, and must not lose a message or occupy its place in the prefetch for ever. These are functions
# because a context manager costs a microsecond, three times per delivery.


def contained(step: Callable[[*Ts], T], failed: Callable[[*Ts, Exception], T], *arguments: *Ts) -> T:
    """Returns the result of `step`, or of `failed` after an unexpected error: `failed` decides what becomes of the message."""
    try:
        return step(*arguments)
    except Exception as error:  # noqa: BLE001 - see above
        return failed(*arguments, error)


async def awaited(
    step: Callable[[*Ts], Awaitable[T]], failed: Callable[[*Ts, Exception], T], *arguments: *Ts
) -> T:
    """As `contained`, for a coroutine function. A cancellation is not caught."""
    try:
        return await step(*arguments)
    except Exception as error:  # noqa: BLE001 - see above
        return failed(*arguments, error)


def described(error: Exception) -> str:
    """Returns the type and the text of an unexpected error."""
    return f"{type(error).__name__}: {error}"


def undecodable_for(error: Exception) -> Undecodable:
    """Returns the quarantine reason for a message whose handling raised an unexpected error."""
    return Undecodable("bug", described(error))


# The decoded messages between decoding and routing.


_NONE: frozenset[str] = frozenset()


@value(frozen=True, slots=True)
class Remaining:
    """The remaining deliveries of an event: all for a new one, fewer for one that was received `before`.

    Hooks in `settled` have a committed fate of the event; None: all hooks have. For a `duplicate` each hook gets a record, and
    no delivery.
    """

    event: Event
    settled: frozenset[str] | None = _NONE
    before: bool = False
    duplicate: bool = False


@dataclass(slots=True, eq=False)
class Part:
    """One event of a message. `digest`: the digest of its key, None if it has none; `earlier`: the earlier event in the
    history; `remaining`: its remaining deliveries, once decided.
    """

    event: Event
    digest: str | None = None
    earlier: Earlier | None = None
    remaining: Remaining | None = None

    @property
    def id(self) -> str:
        """Returns the id that the event keeps."""
        return self.event.id if self.earlier is None else self.earlier.event_id

    def resume(self, earlier: Earlier | None, *, before: bool = False) -> None:
        """Decides that the event is delivered to all hooks that have no fate of it yet."""
        if earlier is None:
            self.remaining = Remaining(self.event)
        else:
            event = replace(self.event, id=earlier.event_id)
            self.remaining = Remaining(event, earlier.hooks, before=before or bool(earlier.hooks))


@dataclass(slots=True, eq=False)
class ReceivedMessage:
    """A decoded message with all its events; `resume` is called with the remaining deliveries of each."""

    parts: list[Part]
    settlement: Settlement
    redelivered: bool
    window: float
    resume: Callable[[list[Remaining]], None]
    claims: list[tuple[str, str]] = field(default_factory=list)

    def known_by(self) -> list[tuple[Part, EventKey]]:
        """Returns the parts that the history can know if the message was received before."""
        if not self.redelivered:
            return []
        return [
            (part, (part.event.source, part.event.publisher_id, part.event.webhook_id))
            for part in self.parts
            if part.event.publisher_id and part.remaining is None
        ]

    def undecided(self) -> list[tuple[Part, str]]:
        """Returns the parts whose key has no known owner yet."""
        return [
            (part, part.digest) for part in self.parts if part.digest is not None and part.remaining is None
        ]


def weight_of(received: Received) -> int:
    """Returns the approximate bytes of the objects made of a message, without its body."""
    weight = sum([event.weight for event in received.events])
    if received.is_batch:
        weight += sum(len(event.message.body) for event in received.events)
    return weight
