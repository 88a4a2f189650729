"""How often the same may be told: a hook that changes all the time must not flood those who listen."""

from collections.abc import Hashable

AT_ONCE = 10
"""Words about the same that may follow each other."""
REFILL = 60.0
"""Seconds after which one more is allowed."""
_MOST = 10_000


class Bound:
    """A bucket of `AT_ONCE` words for each key, filled again by one every `REFILL` seconds."""

    def __init__(self) -> None:
        self._left: dict[Hashable, tuple[float, float, int]] = {}

    def take(self, key: Hashable, now: float) -> int | None:
        """How many about this key were kept back since the last one, where it may be told; None: keep it back."""
        left, at, kept_back = self._left.get(key, (AT_ONCE, now, 0))
        left = min(AT_ONCE, left + (now - at) / REFILL)
        if left < 1:
            self._left[key] = (left, now, kept_back + 1)
            return None
        if len(self._left) >= _MOST:
            self._forget(now)
        self._left[key] = (left - 1, now, 0)
        return kept_back

    def _forget(self, now: float) -> None:
        """Keys whose bucket is full again."""
        self._left = {
            key: state
            for key, state in self._left.items()
            if state[0] + (now - state[1]) / REFILL < AT_ONCE or state[2]
        }
