"""Between decoding and routing: what was done already is told from what is to be done.

A message that the broker hands out again may have been delivered in part: its event goes on under the id that it had
before, to the hooks that have no committed fate of it yet. An event of a source with `dedupe` whose key another event has
is recorded as a duplicate. All other messages never come here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar, assert_never

import structlog

from bridge.model.delivery import Finished
from bridge.model.errors import HistoryUnavailable
from bridge.pipeline.arrival import Arrival, Part, Recalled
from bridge.pipeline.claiming import Claiming, Verdict
from bridge.pipeline.recorder import Recorder
from bridge.pipeline.settle import Settlement
from bridge.ports.backoff import Backoff
from bridge.ports.guards import Claim, Claimed, Recollection
from bridge.telemetry import events

T = TypeVar("T")
log = structlog.get_logger(__name__)

_GATHER = 0.005
_LOOK_HERE = 0.1
"""Seconds after which to see whether something in this process has ended."""
_LOOK_ELSEWHERE = 1.0


class Recall:
    """Looks at arrivals in batches."""

    def __init__(
        self,
        recollection: Recollection,
        claiming: Claiming,
        recorder: Recorder,
        flush: Callable[[], Awaitable[None]],
    ) -> None:
        """`flush` sends the acks that have become due."""
        self._recollection = recollection
        self._claiming = claiming
        self._recorder = recorder
        self._flush = flush
        self._waiting: list[Arrival] = []
        self._held: dict[Arrival, None] = {}
        self._arrived = asyncio.Event()
        self.under_way = claiming.under_way

    def take(self, arrival: Arrival) -> None:
        """Look at this message soon; until it goes on it is held here."""
        self._held[arrival] = None
        self._look_at(arrival)

    def give_back(self, source: str) -> None:
        """Hand to the broker what is held here of this source."""
        for arrival in [each for each in self._held if each.settlement.source == source]:
            del self._held[arrival]
            if arrival.settlement.open > 0:
                arrival.settlement.give_back()
        self._claiming.given_back()

    def park(self, source: str, reason: str) -> None:
        """What is held here of this source goes into its lanes as soon as it goes on."""
        for arrival in self._held:
            if arrival.settlement.source == source:
                arrival.settlement.park_reason = reason

    @property
    def busy(self) -> bool:
        """Something is held here."""
        return bool(self._held)

    async def run(self) -> None:
        """Look until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._claiming.keep())
            tasks.create_task(self._look())

    async def leave(self) -> None:
        """The process stops. Raises HistoryUnavailable."""
        await self._claiming.leave()

    # ---- in batches -----------------------------------------------------------------------------------

    def _look_at(self, arrival: Arrival) -> None:
        self._waiting.append(arrival)
        self._arrived.set()

    def _later(self, arrival: Arrival, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._look_at, arrival)

    async def _look(self) -> None:
        while True:
            await self._arrived.wait()
            await asyncio.sleep(_GATHER)
            self._arrived.clear()
            await self._look_at_waiting()
            await self._flush()

    async def _look_at_waiting(self) -> None:
        batch, self._waiting = self._waiting, []
        try:
            await self._look_at_all(batch)
        except Exception as error:  # noqa: BLE001 - a bug costs neither a message nor the process
            events.recall_failed(error)
            for arrival in [each for each in batch if each in self._held]:
                self._go_on(arrival)  # as if nothing more were known: rather twice than never

    async def _look_at_all(self, arrivals: Sequence[Arrival]) -> None:
        batch = list(self._ready(arrivals))
        await self._recollect(batch)
        wanted = [
            Claim(digest, part.id, arrival.window)
            for arrival in batch
            for part, digest in arrival.undecided()
        ]
        claimed = await _insist(partial(self._claiming.claim, wanted))
        given_up: list[tuple[Arrival, Part, Claimed]] = []
        for arrival in self._ready(batch):
            if not self._judge(arrival, claimed, given_up):
                self._go_on(arrival)
        await self._take_over(given_up)

    def _ready(self, arrivals: Iterable[Arrival]) -> Iterable[Arrival]:
        """Those to look at now; asked again after each wait, and of each when those before it have gone on."""
        for arrival in arrivals:
            if arrival not in self._held:
                continue  # given back
            if not arrival.settlement.valid:
                self._drop(arrival)
            elif self._is_under_way(arrival):
                self._later(arrival, _LOOK_HERE)
            else:
                yield arrival

    def _drop(self, arrival: Arrival) -> None:
        """The broker hands it out again."""
        del self._held[arrival]
        arrival.settlement.drop_one()

    def _is_under_way(self, arrival: Arrival) -> bool:
        """It came before, and what began then, before the connection was lost, has not ended: its fate counts."""
        running = (self.under_way.get(key[2]) for _, key in arrival.known_by())
        return any(one is not None and one is not arrival.settlement for one in running)

    # ---- what came before -----------------------------------------------------------------------------

    async def _recollect(self, batch: Sequence[Arrival]) -> None:
        parts = [each for arrival in batch for each in arrival.known_by()]
        if not parts:
            return
        keys = {key for _, key in parts}
        known = await _insist(partial(self._recollection.earlier, keys))
        for part, key in parts:
            part.earlier = known.get(key)

    # ---- whose the keys are ---------------------------------------------------------------------------

    def _judge(
        self, arrival: Arrival, claimed: Mapping[str, Claimed], given_up: list[tuple[Arrival, Part, Claimed]]
    ) -> bool:
        """Decide what can be decided; whether something has to be waited for."""
        waits, over = False, len(given_up)
        for part, digest in arrival.undecided():
            match self._claiming.judge(claimed[digest], part.id, arrival.settlement):
                case Verdict.OURS:
                    self._hold(arrival, digest, part.id)
                    part.go_on(part.earlier, before=True)
                case Verdict.OVER:
                    part.recalled = Recalled(part.event, hooks=None, before=True)
                case Verdict.DUPLICATE if part.earlier is not None:
                    part.go_on(part.earlier, before=True)  # it was the first in a window that is over
                case Verdict.DUPLICATE:
                    part.recalled = Recalled(part.event, duplicate=True)
                case Verdict.TAKE_OVER:
                    given_up.append((arrival, part, claimed[digest]))
                case Verdict.WAIT:
                    waits = True
                case unknown:
                    assert_never(unknown)
        if waits:
            del given_up[over:]  # at the next look
            self._later(arrival, _LOOK_ELSEWHERE)
        return waits or len(given_up) > over

    async def _take_over(self, given_up: Sequence[tuple[Arrival, Part, Claimed]]) -> None:
        """Go on where others left off; what somebody else took first is looked at again."""
        if not given_up:
            return
        won = await _insist(partial(self._claiming.take_over, [claimed for _, _, claimed in given_up]))
        parts: dict[Arrival, list[tuple[Part, str]]] = {}
        for arrival, part, claimed in given_up:
            parts.setdefault(arrival, []).append((part, claimed.digest))
        for arrival in self._ready(parts):
            for part, digest in parts[arrival]:
                earlier = won.get(digest)
                if earlier is not None and self.under_way.get(earlier.event_id) is None:
                    self._hold(arrival, digest, earlier.event_id)
                    part.go_on(earlier, before=part.id == earlier.event_id)
            if arrival.undecided():
                self._later(arrival, _LOOK_HERE)
            else:
                self._go_on(arrival)

    def _hold(self, arrival: Arrival, digest: str, event_id: str) -> None:
        self._claiming.hold(digest, event_id, arrival.settlement)
        arrival.claims.append((digest, event_id))

    # ---- on -------------------------------------------------------------------------------------------

    def _go_on(self, arrival: Arrival) -> None:
        del self._held[arrival]
        for part in arrival.parts:
            if part.recalled is None:
                part.go_on(part.earlier, before=True)
        if arrival.claims:
            arrival.settlement.at_last(partial(self._finish, tuple(arrival.claims)))
        arrival.go_on([part.recalled for part in arrival.parts if part.recalled is not None])

    def _finish(self, claims: tuple[tuple[str, str], ...], settlement: Settlement) -> None:
        self._recorder.add(Finished(claims), settlement)


async def _insist(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until the database answers; what is held here meanwhile is bounded by the prefetch."""
    backoff = Backoff()
    told = False
    while True:
        try:
            return await ask()
        except HistoryUnavailable as error:
            if not told:
                log.warning("recall.history_unavailable", error=str(error))
                told = True
            await backoff.pause()
