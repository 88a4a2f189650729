"""The stage between decoding and routing that finds events which were received before.

A redelivered message may have been delivered in part: its event keeps the id that it had before, and goes to the hooks that
have no committed fate of it yet. With `dedupe`, an event whose key belongs to another event is recorded as a duplicate. All
other messages bypass this stage.
"""

import asyncio
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from itertools import accumulate
from typing import TypeVar, assert_never

import structlog

from bridge.core.base import Backoff
from bridge.core.budget import Turn
from bridge.core.delivery import Finished
from bridge.core.errors import HistoryUnavailable
from bridge.core.guards import Claim, Claimed, Earlier
from bridge.history.guards_store import SqlClaims, SqlRecollection
from bridge.pipeline.recorder import Recorder
from bridge.pipeline.settlement import Part, ReceivedMessage, Remaining, Settlement, UnderWay, awaited
from bridge.telemetry import events

# The owner of a key is this event, an earlier one, or one of a process that has died. A process claims a key before it
# delivers, and renews its claim every few seconds. An event that finds the claim of another one waits until the deliveries of
# that one have their fate, or until its claim expires. So one of several equal events is delivered, and none is lost with a
# process.


LEASE = 10.0
"""Seconds after its last renewal at which a claim expires."""
_RENEW_EVERY = 3.0


class Verdict(Enum):
    """The decision about an event whose key is claimed already."""

    OURS = auto()
    OVER = auto()
    DUPLICATE = auto()
    WAIT = auto()
    TAKE_OVER = auto()


@dataclass(frozen=True, slots=True)
class Asking:
    """The claimant: the event with the key, its message, and its process at that Unix time."""

    event_id: str
    settlement: Settlement
    holder: str
    at: float
    lease: float = LEASE


def judge(claimed: Claimed, asking: Asking, running: Settlement | None) -> Verdict:
    """Returns the decision about an event; `running` is the open message of this process that holds its key, if any."""
    same = claimed.event_id == asking.event_id
    if claimed.done:
        return Verdict.OVER if same else Verdict.DUPLICATE
    if claimed.holder == asking.holder:
        if running is not None:
            # A message whose ticket is void is redelivered, and this may be the redelivery.
            return Verdict.DUPLICATE if running is asking.settlement or running.valid else Verdict.WAIT
        return Verdict.OURS if claimed.new and same else Verdict.TAKE_OVER
    gone = not claimed.holder or asking.at - claimed.at > asking.lease
    return Verdict.TAKE_OVER if gone else Verdict.WAIT


class DedupeLeases:
    """The claims of this process on deduplication keys."""

    def __init__(self, claims: SqlClaims, holder: str, *, alone: bool) -> None:
        """`holder` identifies this run of the process; `alone`: there is no other process, so other holders have died."""
        self.under_way = UnderWay()
        self._claims = claims
        self._holder = holder
        self._lease = -1.0 if alone else LEASE
        self._held: dict[tuple[str, str], tuple[Settlement, float]] = {}
        self._hurry = asyncio.Event()
        self._zero: float | None = None
        """The time of all who claim, when our monotonic clock had its zero."""

    async def claim(self, wanted: list[Claim]) -> Mapping[str, Claimed]:
        """Claims the keys, and returns the owner of each by digest. Raises HistoryUnavailable."""
        if not wanted:
            return {}
        if self._zero is None:
            await self._set_clock()
        return await self._claims.claim(wanted, holder=self._holder, at=self._now())

    async def take_over(self, seen: Collection[Claimed]) -> Mapping[str, Earlier]:
        """Takes over expired claims; returns by digest the events to continue. Raises HistoryUnavailable."""
        return await self._claims.take_over(seen, holder=self._holder, at=self._now())

    def judge(self, claimed: Claimed, event_id: str, settlement: Settlement) -> Verdict:
        """Returns the decision about the event of this message."""
        asking = Asking(event_id, settlement, self._holder, self._now(), self._lease)
        return judge(claimed, asking, self.under_way.get(claimed.event_id))

    def hold(self, digest: str, event_id: str, settlement: Settlement) -> None:
        """Notes that the message holds the key until its fate is committed."""
        self.under_way.add(event_id, settlement)
        self._held[digest, event_id] = (settlement, time.monotonic())

    def given_back(self) -> None:
        """Notes that messages were returned to the broker, so that their claims are released soon."""
        self._hurry.set()

    async def keep(self) -> None:
        """Renews the claims of open messages, and releases those of the others, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_RENEW_EVERY):
                    await self._hurry.wait()
            self._hurry.clear()
            with suppress(HistoryUnavailable):
                if self._zero is not None:
                    await self._set_clock()
                await self._tell(time.monotonic() - _RENEW_EVERY)

    async def leave(self) -> None:
        """Releases all open claims when the process stops, so that others can take them over. Raises HistoryUnavailable."""
        left = [claim for claim, (settlement, _) in self._held.items() if not settlement.complete]
        if left:
            await self._claims.release(left, holder=self._holder)

    async def _set_clock(self) -> None:
        asked_at = time.monotonic()
        self._zero = await self._claims.now() - asked_at

    def _now(self) -> float:
        """Returns the time of the clock that all claimants share."""
        return time.monotonic() + (self._zero or 0.0)

    async def _tell(self, before: float) -> None:
        self._held = {claim: held for claim, held in self._held.items() if not held[0].complete}
        given_up = [claim for claim, (settlement, _) in self._held.items() if settlement.open <= 0]
        if given_up:
            await self._claims.release(given_up, holder=self._holder)
        for claim in given_up:
            if self._held[claim][0].open <= 0:  # else the message was redelivered meanwhile
                del self._held[claim]
        old = [claim for claim, (_, since) in self._held.items() if since < before]
        if old:
            await self._claims.renew(old, holder=self._holder, at=self._now())


T = TypeVar("T")
log = structlog.get_logger(__name__)

_GATHER = 0.005
_LOOK_HERE = 0.1
"""Seconds between two checks of whether a message of this process has been settled."""
_LOOK_ELSEWHERE = 1.0
_EVENTS_AT_ONCE = 10_000
"""Events in one batch, unless a single message has more."""


class RedeliveryFilter:
    """Looks up received messages in the history, in batches."""

    def __init__(
        self,
        recollection: SqlRecollection,
        claiming: DedupeLeases,
        recorder: Recorder,
        send_acks: Callable[[], Awaitable[None]],
        turn: Turn,
    ) -> None:
        """`send_acks` sends the acks that have become due; `turn` is the share of the event loop for messages of many events."""
        self._recollection = recollection
        self._claiming = claiming
        self._recorder = recorder
        self._send_acks = send_acks
        self._turn = turn
        self._waiting: list[ReceivedMessage] = []
        self._held: dict[ReceivedMessage, None] = {}
        self._arrived = asyncio.Event()
        self.under_way = claiming.under_way

    def take(self, arrival: ReceivedMessage) -> None:
        """Accepts a message, which is looked up soon and held until then."""
        self._held[arrival] = None
        self._look_at(arrival)

    def requeue(self, source: str) -> None:
        """Returns to the broker the messages of this source that are held here."""
        for arrival in [each for each in self._held if each.settlement.source == source]:
            del self._held[arrival]
            if arrival.settlement.open > 0:
                arrival.settlement.requeue()
        self._claiming.given_back()

    def park(self, source: str, reason: str) -> None:
        """Makes the messages of this source that are held here go into their lanes once they are routed."""
        for arrival in self._held:
            if arrival.settlement.source == source:
                arrival.settlement.park_reason = reason

    @property
    def busy(self) -> bool:
        """Returns whether a message is held here."""
        return bool(self._held)

    async def run(self) -> None:
        """Looks up accepted messages until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._claiming.keep())
            tasks.create_task(self._look())

    async def leave(self) -> None:
        """Releases the claims when the process stops. Raises HistoryUnavailable."""
        await self._claiming.leave()

    # ---- batches --------------------------------------------------------------------------------------

    def _look_at(self, arrival: ReceivedMessage) -> None:
        self._waiting.append(arrival)
        self._arrived.set()

    def _later(self, arrival: ReceivedMessage, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._look_at, arrival)

    async def _look(self) -> None:
        while True:
            await self._arrived.wait()
            await asyncio.sleep(_GATHER)
            self._arrived.clear()
            await self._look_at_waiting()
            await self._send_acks()

    async def _look_at_waiting(self) -> None:
        most = bisect_left([*accumulate(len(each.parts) for each in self._waiting)], _EVENTS_AT_ONCE) + 1
        batch, self._waiting = self._waiting[:most], self._waiting[most:]
        if self._waiting:
            self._arrived.set()
        for arrival in await awaited(self._look_at_all, self._look_failed, batch):
            await self._resume(arrival)

    def _look_failed(self, batch: Sequence[ReceivedMessage], error: Exception) -> Sequence[ReceivedMessage]:
        """Handles a bug: the messages are routed as new ones, since a duplicate is better than a loss."""
        events.recall_failed(error)
        return batch

    async def _look_at_all(self, arrivals: Sequence[ReceivedMessage]) -> Sequence[ReceivedMessage]:
        batch = list(self._ready(arrivals))
        await self._recollect(batch)
        wanted = [
            Claim(digest, part.id, arrival.window)
            for arrival in batch
            for part, digest in arrival.undecided()
        ]
        claimed = await _insist(partial(self._claiming.claim, wanted))
        given_up: list[tuple[ReceivedMessage, Part, Claimed]] = []
        for arrival in self._ready(batch):
            if not await self._judge(arrival, claimed, given_up):
                await self._resume(arrival)
        await self._take_over(given_up)
        return ()

    def _ready(self, arrivals: Iterable[ReceivedMessage]) -> Iterable[ReceivedMessage]:
        """Returns the messages to look up now; called again after each wait, and after earlier messages were routed."""
        for arrival in arrivals:
            if arrival not in self._held:
                continue  # given back
            if not arrival.settlement.valid:
                self._drop(arrival)
            elif self._is_under_way(arrival):
                self._later(arrival, _LOOK_HERE)
            else:
                yield arrival

    def _drop(self, arrival: ReceivedMessage) -> None:
        """Drops a message, which the broker redelivers."""
        del self._held[arrival]
        arrival.settlement.drop_one()

    def _is_under_way(self, arrival: ReceivedMessage) -> bool:
        """Returns whether deliveries of this message from before a lost connection are under way: their fate counts."""
        running = (self.under_way.get(key[2]) for _, key in arrival.known_by())
        return any(one is not None and one is not arrival.settlement for one in running)

    # ---- redelivered messages -------------------------------------------------------------------------

    async def _recollect(self, batch: Sequence[ReceivedMessage]) -> None:
        parts = [each for arrival in batch for each in arrival.known_by()]
        if not parts:
            return
        keys = {key for _, key in parts}
        known = await _insist(partial(self._recollection.earlier, keys))
        for part, key in parts:
            part.earlier = known.get(key)

    # ---- deduplication keys ---------------------------------------------------------------------------

    async def _judge(
        self,
        arrival: ReceivedMessage,
        claimed: Mapping[str, Claimed],
        given_up: list[tuple[ReceivedMessage, Part, Claimed]],
    ) -> bool:
        """Decides what can be decided; returns whether an event has to wait."""
        waits, over = False, len(given_up)
        for part, digest in arrival.undecided():
            await self._turn.own()
            match self._claiming.judge(claimed[digest], part.id, arrival.settlement):
                case Verdict.OURS:
                    self._hold(arrival, digest, part.id)
                    part.resume(part.earlier, before=True)
                case Verdict.OVER:
                    part.remaining = Remaining(part.event, settled=None, before=True)
                case Verdict.DUPLICATE if part.earlier is not None:
                    part.resume(part.earlier, before=True)  # it was the first of a window that has ended
                case Verdict.DUPLICATE:
                    part.remaining = Remaining(part.event, duplicate=True)
                case Verdict.TAKE_OVER:
                    given_up.append((arrival, part, claimed[digest]))
                case Verdict.WAIT:
                    waits = True
                case unknown:
                    assert_never(unknown)
        if waits:
            del given_up[over:]  # in the next batch
            self._later(arrival, _LOOK_ELSEWHERE)
        return waits or len(given_up) > over

    async def _take_over(self, given_up: Sequence[tuple[ReceivedMessage, Part, Claimed]]) -> None:
        """Continues the deliveries of expired claims; a claim that another process took first is checked again."""
        if not given_up:
            return
        won = await _insist(partial(self._claiming.take_over, [claimed for _, _, claimed in given_up]))
        parts: dict[ReceivedMessage, list[tuple[Part, str]]] = {}
        for arrival, part, claimed in given_up:
            parts.setdefault(arrival, []).append((part, claimed.digest))
        for arrival in self._ready(parts):
            for part, digest in parts[arrival]:
                await self._turn.own()
                earlier = won.get(digest)
                if earlier is not None and self.under_way.get(earlier.event_id) is None:
                    self._hold(arrival, digest, earlier.event_id)
                    part.resume(earlier, before=part.id == earlier.event_id)
            if arrival.undecided():
                self._later(arrival, _LOOK_HERE)
            else:
                await self._resume(arrival)

    def _hold(self, arrival: ReceivedMessage, digest: str, event_id: str) -> None:
        self._claiming.hold(digest, event_id, arrival.settlement)
        arrival.claims.append((digest, event_id))

    # ---- routing --------------------------------------------------------------------------------------

    async def _resume(self, arrival: ReceivedMessage) -> None:
        """Routes a message, unless it was given back or the broker redelivers it meanwhile."""
        for part in arrival.parts:
            if part.remaining is None:
                await self._turn.own()
                part.resume(part.earlier, before=True)
        if arrival not in self._held:
            return
        if not arrival.settlement.valid:
            self._drop(arrival)
            return
        del self._held[arrival]
        if arrival.claims:
            arrival.settlement.before_ack(partial(self._finish, tuple(arrival.claims)))
        arrival.resume([part.remaining for part in arrival.parts if part.remaining is not None])

    def _finish(self, claims: tuple[tuple[str, str], ...], settlement: Settlement) -> None:
        self._recorder.add(Finished(claims), settlement)


async def _insist(ask: Callable[[], Awaitable[T]]) -> T:
    """Retries the query until the database answers; the prefetch bounds what is held meanwhile."""
    backoff = Backoff()
    told = False
    while True:
        try:
            return await ask()
        except HistoryUnavailable as error:
            if not told:
                log.warning("redelivery_filter.history_unavailable", error=str(error))
                told = True
            await backoff.pause()
