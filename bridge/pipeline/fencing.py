"""Before attempts from a lane: copies that the history knows to be overtaken are dropped."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from weakref import WeakValueDictionary

from bridge.core.base import Backoff
from bridge.core.delivery import Delivery, Known
from bridge.core.errors import HistoryUnavailable
from bridge.core.ports import AckHandle, History
from bridge.pipeline.settlement import InFlight, SettledCallback, Settlement, Work

_GATHER = 0.005
_LOOK_AGAIN = 0.5
"""Seconds between two looks at a copy whose delivery is under way with the same attempt or the one before it."""


def stale(delivery: Delivery, known: Known | None) -> bool:
    """Whether the copy has been overtaken: its delivery was started anew since, is final, or had this attempt already.

    The last one is the crash between the confirm of a retry copy and the ack of the message before it: an
    attempt is committed only after its retry copy was confirmed, so the copy of that attempt may go. How an earlier
    generation ended says nothing about a later one.
    """
    if known is None or known.generation < delivery.generation:
        return False
    return known.generation > delivery.generation or known.final or known.attempts >= delivery.attempt


class Fence:
    """Lets copies through to their attempt, in batches of one look into the history each."""

    def __init__(
        self,
        history: History,
        load: InFlight,
        let_through: Callable[[Work], None],
        dropped: Callable[[Delivery], None],
        send_acks: Callable[[], Awaitable[None]],
    ) -> None:
        """`dropped` is told of every stale copy; `send_acks` sends the acks that have become due."""
        self._history = history
        self._load = load
        self._let_through = let_through
        self._dropped = dropped
        self._send_acks = send_acks
        self._waiting: list[Work] = []
        self._under_way: WeakValueDictionary[tuple[str, int, int], Settlement] = WeakValueDictionary()
        self._arrived = asyncio.Event()

    def add(self, delivery: Delivery, ticket: AckHandle, over: SettledCallback | None = None) -> None:
        """Look at this copy soon; `over` is told of its end."""
        self.again(Work(delivery, Settlement(ticket, "", self._load, over=over), from_lane=True))

    def again(self, work: Work) -> None:
        """Look at this copy, which has waited here, once more: much may have been said of its delivery meanwhile."""
        self._waiting.append(work)
        self._arrived.set()

    async def run(self) -> None:
        """Look at what arrives until cancelled."""
        while True:
            await self._arrived.wait()
            await asyncio.sleep(_GATHER)
            self._arrived.clear()
            await self._look()

    async def _look(self) -> None:
        batch, self._waiting = self._waiting, []
        known = await self._known([work.delivery.id for work in batch])
        valid = [work for work in batch if work.settlement.valid]
        newest = _newest(valid)
        for work in batch:
            if not work.settlement.valid:
                work.settlement.drop_one()
            elif self._overtaken(work, newest) or stale(work.delivery, known.get(work.delivery.id)):
                work.settlement.fate_committed()
                self._dropped(work.delivery)
            else:
                self._admit(work)
        await self._send_acks()

    def _overtaken(self, work: Work, newest: Mapping[tuple[str, int], int]) -> bool:
        """Whether the copy of the next attempt is here: this one was made, and died before its commit."""
        delivery = work.delivery
        later = newest.get((delivery.id, delivery.generation), 0) > delivery.attempt
        return later or self._other(work, 1) is not None

    def _admit(self, work: Work) -> None:
        delivery, settlement = work.delivery, work.settlement
        if self._other(work, 0) is not None or self._other(work, -1) is not None:
            # What the one under way comes to decides about this one. The same attempt twice is a publish whose confirm
            # was lost, or the very copy that parks the one under way, here before that is committed: all there is left
            # of the delivery. The attempt before is one that is repeated after a crash.
            asyncio.get_running_loop().call_later(_LOOK_AGAIN, self.again, work)
        else:
            self._under_way[delivery.id, delivery.generation, delivery.attempt] = settlement
            self._let_through(work)

    def _other(self, work: Work, step: int) -> Settlement | None:
        """The message of another copy of the delivery that is under way here, so many attempts further on."""
        delivery = work.delivery
        other = self._under_way.get((delivery.id, delivery.generation, delivery.attempt + step))
        alive = other is not None and other is not work.settlement and other.open > 0 and other.valid
        return other if alive else None

    async def _known(self, ids: list[str]) -> dict[str, Known]:
        backoff = Backoff()
        while True:
            try:
                return await self._history.known(ids)
            except HistoryUnavailable:
                await backoff.pause()


def _newest(works: Iterable[Work]) -> dict[tuple[str, int], int]:
    """The highest attempt of each delivery and generation."""
    found: dict[tuple[str, int], int] = {}
    for work in works:
        delivery = work.delivery
        key = delivery.id, delivery.generation
        if delivery.attempt > found.get(key, 0):
            found[key] = delivery.attempt
    return found
