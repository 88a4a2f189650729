"""What has arrived at the endpoint, counted as it arrives."""

import time
from array import array
from dataclasses import dataclass

from bench.traffic.events import number_of, time_of


@dataclass(frozen=True)
class Order:
    """What the endpoint is to expect: `events` numbers from 0, each of them `copies` times.

    The first `warm` events are not measured. One of every `hang_every` measured events is answered only
    after `hang_seconds`. The endpoint says so when as many deliveries as one of `marks` have been answered.
    """

    events: int
    copies: int = 1
    warm: int = 0
    hang_every: int = 0
    hang_seconds: float = 0.0
    marks: tuple[int, ...] = ()


@dataclass(frozen=True)
class Arrivals:
    """What came of an order. Milliseconds are from publish to receipt, of the measured events."""

    requests: int
    missing: int
    repeated: int
    connections: int = 0
    checked: int = 0
    forged: int = 0
    alien: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0


class Tally:
    """What has arrived since an order was given."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._seen = bytearray(order.events)
        self._answered = bytearray(order.events)
        self._delays = array("q")
        self._marks = sorted(order.marks)
        self._first_hang = order.warm + order.hang_every // 2
        self.done = 0
        self.requests = 0
        self.connections = 0
        self.checked = 0
        self.forged = 0
        self.alien = 0

    def arrived(self, body: bytes) -> int | None:
        """Counts one request; gives the event's number, or None for a body that is none of ours."""
        self.requests += 1
        try:
            number = number_of(body)
            self._seen[number] = min(self._seen[number] + 1, 255)
        except (ValueError, IndexError):
            self.alien += 1
            return None
        if number >= self._order.warm:
            self._delays.append(time.time_ns() - time_of(body))
        return number

    def answered(self, number: int) -> None:
        """Counts one delivery, unless it is one too many."""
        count = self._answered[number]
        if count < self._order.copies:
            self._answered[number] = count + 1
            self.done += 1

    def hang_seconds(self, number: int) -> float:
        """The seconds to wait before this event is answered."""
        every, position = self._order.hang_every, number - self._first_hang
        return self._order.hang_seconds if every and position >= 0 and position % every == 0 else 0.0

    def mark_reached(self) -> int | None:
        """A mark that has been reached and was not told yet."""
        if self._marks and self.done >= self._marks[0]:
            return self._marks.pop(0)
        return None

    def arrivals(self) -> Arrivals:
        """All that has arrived so far."""
        delays = sorted(self._delays)
        copies = self._order.copies
        return Arrivals(
            requests=self.requests,
            connections=self.connections,
            checked=self.checked,
            forged=self.forged,
            alien=self.alien,
            missing=sum(copies - count for count in self._seen if count < copies),
            repeated=sum(count - copies for count in self._seen if count > copies),
            p50_ms=percentile(delays, 50) / 1e6,
            p99_ms=percentile(delays, 99) / 1e6,
        )


def percentile(ordered: list[int], percent: int) -> int:
    """The least value that `percent` of the ordered values do not exceed; 0 where there is none."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else 0
