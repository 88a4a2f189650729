"""Before attempts from a lane: copies that the history knows to be overtaken are dropped."""

import asyncio
from collections.abc import Awaitable, Callable
from weakref import WeakValueDictionary

from bridge.model.delivery import Delivery, Known
from bridge.model.errors import HistoryUnavailable
from bridge.pipeline.settle import Load, Over, Settlement, Work
from bridge.ports.backoff import Backoff
from bridge.ports.broker import Ticket
from bridge.ports.history import History

_GATHER = 0.005


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
        load: Load,
        let_through: Callable[[Work], None],
        dropped: Callable[[Delivery], None],
        flush: Callable[[], Awaitable[None]],
    ) -> None:
        """`dropped` is told of every stale copy; `flush` sends the acks that have become due."""
        self._history = history
        self._load = load
        self._let_through = let_through
        self._dropped = dropped
        self._flush = flush
        self._waiting: list[Work] = []
        self._under_way: WeakValueDictionary[tuple[str, int, int], Settlement] = WeakValueDictionary()
        self._arrived = asyncio.Event()

    def add(self, delivery: Delivery, ticket: Ticket, over: Over | None = None) -> None:
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
            batch, self._waiting = self._waiting, []
            known = await self._known([work.delivery.id for work in batch])
            for work in batch:
                if work.settlement.valid:
                    self._judge(work, known.get(work.delivery.id))
                else:
                    work.settlement.drop_one()
            await self._flush()

    def _judge(self, work: Work, known: Known | None) -> None:
        delivery, settlement = work.delivery, work.settlement
        key = (delivery.id, delivery.generation, delivery.attempt)
        earlier = self._under_way.get(key)
        if stale(delivery, known):
            settlement.fate_committed()
            self._dropped(delivery)
        elif earlier is not None and earlier is not settlement and earlier.open > 0 and earlier.valid:
            # The same copy twice (a publish whose confirm was lost): the first one's fate is also the second's.
            earlier.join(settlement)
            self._dropped(delivery)
        else:
            self._under_way[key] = settlement
            self._let_through(work)

    async def _known(self, ids: list[str]) -> dict[str, Known]:
        backoff = Backoff()
        while True:
            try:
                return await self._history.known(ids)
            except HistoryUnavailable:
                await backoff.pause()
