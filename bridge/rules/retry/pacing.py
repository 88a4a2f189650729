"""An even pace: so many in a second, spread over it."""

_BURST = 1.0
"""Seconds' worth that may be caught up with after a delay, no more."""
_STEP = 0.1
"""Seconds' worth that go together where many go in a second: each step costs a transaction."""


class Pace:
    """When how many may go; times are monotonic seconds, which the caller tells."""

    def __init__(self, rate: float | None, now: float) -> None:
        """`rate` per second; None: any number at any time."""
        self._rate = rate
        self._next = now

    def due(self, now: float, most: int) -> int:
        """How many may go now, at most so many."""
        if self._rate is None:
            return most
        self._next = max(self._next, now - _BURST)
        if now < self._next:
            return 0
        return min(most, int((now - self._next) * self._rate) + 1)

    def went(self, count: int) -> None:
        """So many went."""
        if self._rate is not None:
            self._next += count / self._rate

    def wait(self, now: float) -> float:
        """Seconds until it is worth looking again."""
        if self._rate is None:
            return 0.0
        together = max(0.0, _STEP - 1 / self._rate)
        return max(0.0, self._next + together - now)
