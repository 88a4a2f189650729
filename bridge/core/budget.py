"""Memory as one budget: everybody who holds bodies takes their bytes from it and gives them back."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

_UNBOUNDED = 1 << 60
_READING = 0.5
"""Share of the budget from which on no more is read from the broker; the rest is for what is made of what is held."""
_AGAIN = 0.375
"""Share below which reading goes on."""
_SLOW = 0.02
_NONE = -1


class Budget:
    """What the process may hold, and what it does hold by who holds it. To be used on the event loop only.

    Bytes that are here are counted, whether there was room for them or not: to stay within the budget is the part of
    those who can wait. Whoever waits goes on where nobody else would make room: so one message larger than all of the
    budget passes alone.
    """

    def __init__(self, limit: int = _UNBOUNDED) -> None:
        self.whole = limit
        self.held = 0
        self.crowded = False
        """No more should be read from the broker for the time being."""
        self.by_holder: dict[str, int] = {}
        self.arriving = Holder(self, "arriving")
        self._waiting: list[Callable[[], None]] = []
        self.limit_to(limit)

    def limit_to(self, limit: int) -> None:
        """Use only so much of it from now on."""
        self.limit = limit
        self._most_read, self._again = int(limit * _READING), int(limit * _AGAIN)
        if self.crowded:
            self.look()

    def share(self, part: float) -> int:
        """So much of it, in bytes."""
        return max(1, int(self.limit * part))

    def fits(self, octets: int) -> bool:
        """Whether there is room for so many bytes more."""
        return self.held + octets <= self.limit

    def holder(self, name: str) -> "Holder":
        """Somebody who holds bytes; several of one name are told as one."""
        return Holder(self, name)

    def when_roomy(self, go_on: Callable[[], None]) -> None:
        """Call this once when it is crowded no more."""
        self._waiting.append(go_on)

    def look(self) -> None:
        """See whether it is crowded: where all that is held is still on its way here, the rest of it has to be read."""
        most = self._again if self.crowded else self._most_read
        self.crowded = self.held >= most and self.held > self.arriving.octets
        if not self.crowded and self._waiting:
            waiting, self._waiting = self._waiting, []
            for go_on in waiting:
                go_on()


class Held(NamedTuple):
    """How many messages of a queue are held here, their bytes, and how many the broker may hand out at once."""

    messages: int
    octets: int
    prefetch: int


NOTHING = Held(0, 0, 0)


class Holder:
    """One who holds bytes: how many of them, and how many things they belong to."""

    __slots__ = ("_budget", "_name", "count", "octets")

    def __init__(self, budget: Budget, name: str) -> None:
        self._budget = budget
        self._name = name
        self.count = 0
        self.octets = 0
        budget.by_holder.setdefault(name, 0)

    def take(self, octets: int, things: int = 1) -> None:
        """So many bytes more are held."""
        budget = self._budget
        self.count += things
        self.octets += octets
        budget.by_holder[self._name] += octets
        budget.held += octets
        if budget.held >= budget._most_read and not budget.crowded:  # noqa: SLF001 - one module
            budget.look()

    def give_back(self, octets: int, things: int = 1) -> None:
        """So many bytes are held no more."""
        budget = self._budget
        self.count -= things
        self.octets -= octets
        budget.by_holder[self._name] -= octets
        budget.held -= octets
        if budget.crowded:
            budget.look()

    async def room(self, octets: int, most: int) -> None:
        """Return once so many bytes more make no more than `most`, or nothing is held: take them at once then."""
        while self.count and self.octets + octets > most:  # noqa: ASYNC110 - rare, and the hot path wakes nobody
            await asyncio.sleep(_SLOW)


class Hold:
    """Bytes that are held until they are let go of, at the latest when nobody has this any more."""

    __slots__ = ("_holder", "_octets")

    def __init__(self, holder: Holder, octets: int) -> None:
        self._holder = holder
        self._octets = octets
        holder.take(octets)

    def grow(self, octets: int) -> None:
        """So many bytes more belong to it."""
        if self._octets != _NONE:
            self._octets += octets
            self._holder.take(octets, 0)

    def let_go(self) -> None:
        """Nothing is held from now on."""
        octets, self._octets = self._octets, _NONE
        if octets != _NONE:
            self._holder.give_back(octets)

    def __del__(self) -> None:
        self.let_go()
