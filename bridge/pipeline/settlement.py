"""The one rule: a broker message is settled last, once, when all it carries has a committed fate."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Protocol, TypeVar, TypeVarTuple

from bridge.core.delivery import Delivery, Reached
from bridge.core.event import Undecodable
from bridge.core.ports import AckHandle
from bridge.telemetry.metrics import SourceMetrics

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

SettledCallback = Callable[[bool], None]
"""Told once that nothing of a message is under way any more: True where all of it has a committed fate, False where the
broker will hand it out again.
"""


@dataclass(slots=True)
class InFlight:
    """How many deliveries this process holds whose fate is not committed."""

    open: int = 0


class Place(Protocol):
    """Where in a stream a message stands."""

    @property
    def reader(self) -> "Reader":
        """Whoever reads the stream."""
        ...

    @property
    def offset(self) -> int:
        """Its number there."""
        ...


class Reader(Protocol):
    """How far a stream has been read."""

    @property
    def unsaved(self) -> bool:
        """It went further than the history knows."""
        ...

    def reached_with(self, offsets: Collection[int]) -> Reached | None:
        """How far all is done once these messages are; None where the history knows that already."""
        ...

    def committed(self, reached: Reached) -> None:
        """The history knows it."""
        ...


class Settlement:
    """One broker message, and how many shares of it have no committed fate yet: it is acked after the last one.

    Whoever reads a message holds its only share, and hands out one for each delivery and each record that comes of it; of
    a copy the share is its delivery. If it has a `park_reason`, its deliveries go into their lanes without an attempt.
    """

    __slots__ = (
        "__weakref__",
        "_complete",
        "_last",
        "_load",
        "_metrics",
        "_over",
        "_ticket",
        "handed_out",
        "open",
        "park_reason",
        "place",
        "source",
        "started",
    )

    def __init__(
        self,
        ticket: AckHandle,
        source: str,
        load: InFlight,
        metrics: SourceMetrics | None = None,
        over: SettledCallback | None = None,
    ) -> None:
        """`metrics` count the settled messages of a source; None for a copy of ours."""
        self._ticket = ticket
        self._load = load
        self._metrics = metrics
        self._complete = True
        self._over = over
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
        """The broker still waits for our word; else it redelivers, and what was not started need not start."""
        return self._ticket.valid

    def ends_with(self, fates: int) -> bool:
        """Once so many more of its shares have committed fates, all of it is done."""
        return self.open == fates and self._complete and self._last is None

    @property
    def complete(self) -> bool:
        """All that it carried has a committed fate."""
        return self.open == 0 and self._complete

    def grow(self, octets: int) -> None:
        """So many bytes more are held for the message, until it is let go of."""
        self._ticket.grow(octets)

    def at_last(self, say: "Callable[[Settlement], None]") -> None:
        """Call this when all that the message carries has a committed fate: what it adds is committed before the ack."""
        self._last = say

    def hand_out(self, shares: int) -> None:
        """Replace the reader's share by so many, once and before any of them may end; 0: nothing remains to be done."""
        self.handed_out = True
        if shares:
            self._load.open += shares - 1
            self.open += shares - 1
        else:
            self.fate_committed()

    def fate_committed(self) -> None:
        """One share less; after the last one the message is finished, and acked with the next flush."""
        self.started = True
        if self._last is not None and self.open == 1 and self._complete:
            say, self._last = self._last, None
            say(self)  # which takes the place of this one
            return
        self._one_less()
        if self.open == 0 and self._complete:
            self._ticket.finish()
            if self._metrics is not None:
                self._metrics.settled["acked"].value += 1

    def drop_one(self) -> None:
        """One share is given up here: the message stays unsettled, so the broker will redeliver it."""
        self._complete = False
        self._one_less()
        if self.open == 0:
            self._ticket.let_go()

    def _one_less(self) -> None:
        self.open -= 1
        self._load.open -= 1
        if self.open == 0 and self._over is not None:
            self._over(self._complete)

    def give_back(self) -> None:
        """Nothing of it was started: the broker may hand it to somebody else."""
        self._load.open -= self.open
        self.open = -1
        self._ticket.give_back()
        if self._metrics is not None:
            self._metrics.settled["given_back"].value += 1
        if self._over is not None:
            self._over(False)


@dataclass(slots=True, eq=False)
class Work:
    """A delivery on its way through this process, with the message that it came in."""

    delivery: Delivery
    settlement: Settlement
    from_lane: bool = False
    probe: bool = False


# The boundary for unexpected errors, which are bugs: the pipeline catches them nowhere else. A bug must not end the process or
# a task that works for all messages, and must not lose a message or hold its place in the prefetch for ever. These are
# functions because a context manager costs a microsecond, three times a delivery.


def contained(step: Callable[[*Ts], T], failed: Callable[[*Ts, Exception], T], *arguments: *Ts) -> T:
    """Returns what `step` returns, or what `failed` makes of an unexpected error: it decides what becomes of the message."""
    try:
        return step(*arguments)
    except Exception as error:  # noqa: BLE001 - see above
        return failed(*arguments, error)


async def awaited(
    step: Callable[[*Ts], Awaitable[T]], failed: Callable[[*Ts, Exception], T], *arguments: *Ts
) -> T:
    """As `contained`, for a coroutine function. A cancellation passes."""
    try:
        return await step(*arguments)
    except Exception as error:  # noqa: BLE001 - see above
        return failed(*arguments, error)


def described(error: Exception) -> str:
    """Returns the type and the text of an unexpected error."""
    return f"{type(error).__name__}: {error}"


def undecodable_for(error: Exception) -> Undecodable:
    """Returns why a message goes to quarantine over which an unexpected error was raised."""
    return Undecodable("bug", described(error))
