"""Whose the key of an event is: its own, that of one before it, or that of one whose process is gone.

A process claims a key before it delivers, and says every few seconds that it is still at it. Whoever meets the claim of
another waits until that one's deliveries have their fate, or until nothing was heard of it for a while. So of several
that a publisher sent one is delivered, and none is lost with a process.
"""

import asyncio
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto

from bridge.model.errors import HistoryUnavailable
from bridge.pipeline.settle import Settlement
from bridge.ports.guards import Claim, Claimed, Claims, Earlier

LEASE = 10.0
"""Seconds after which a process that said nothing is taken for gone."""
_RENEW_EVERY = 3.0
_SWEEP_FROM = 256


class UnderWay:
    """Messages in this process whose fate is open, by ids of their events."""

    def __init__(self) -> None:
        self._messages: dict[str, Settlement] = {}
        self._sweep_at = _SWEEP_FROM

    def add(self, event_id: str, settlement: Settlement) -> None:
        """The message has the event; it is found for as long as its fate is open."""
        self._messages[event_id] = settlement
        if len(self._messages) > self._sweep_at:
            # Now and then at once: to take each out when it is over would cost every message something.
            self._messages = {each: one for each, one in self._messages.items() if one.open > 0}
            self._sweep_at = 2 * len(self._messages) + _SWEEP_FROM

    def get(self, event_id: str) -> Settlement | None:
        """The message with this event, if its fate is open."""
        found = self._messages.get(event_id)
        return found if found is not None and found.open > 0 else None


class Verdict(Enum):
    """What to do with an event whose key somebody has."""

    OURS = auto()
    OVER = auto()
    DUPLICATE = auto()
    WAIT = auto()
    TAKE_OVER = auto()


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks: the event with the key, its message, and the process at that Unix time."""

    event_id: str
    settlement: Settlement
    holder: str
    at: float
    lease: float = LEASE


def judge(claimed: Claimed, asking: Asking, running: Settlement | None) -> Verdict:
    """Whether the event may be delivered; `running`: the message here whose event has the key, if its fate is open."""
    same = claimed.event_id == asking.event_id
    if claimed.done:
        return Verdict.OVER if same else Verdict.DUPLICATE
    if claimed.holder == asking.holder:
        if running is not None:
            # One whose ticket is void comes again itself, and this may be it.
            return Verdict.DUPLICATE if running is asking.settlement or running.valid else Verdict.WAIT
        return Verdict.OURS if claimed.new and same else Verdict.TAKE_OVER
    gone = not claimed.holder or asking.at - claimed.at > asking.lease
    return Verdict.TAKE_OVER if gone else Verdict.WAIT


class Claiming:
    """The claims of this process."""

    def __init__(self, claims: Claims, holder: str, *, alone: bool) -> None:
        """`holder` names this life of the process; `alone`: there are no others, so that all other holders are gone."""
        self.under_way = UnderWay()
        self._claims = claims
        self._holder = holder
        self._lease = -1.0 if alone else LEASE
        self._held: dict[tuple[str, str], tuple[Settlement, float]] = {}
        self._hurry = asyncio.Event()
        self._zero: float | None = None
        """The time of all who claim, when our monotonic clock had its zero."""

    async def claim(self, wanted: list[Claim]) -> Mapping[str, Claimed]:
        """By digest, whose each key is. Raises HistoryUnavailable."""
        if not wanted:
            return {}
        if self._zero is None:
            await self._set_clock()
        return await self._claims.claim(wanted, holder=self._holder, at=self._now())

    async def take_over(self, seen: Collection[Claimed]) -> Mapping[str, Earlier]:
        """Of those of which nobody else was quicker: the event to go on with, by digest. Raises HistoryUnavailable."""
        return await self._claims.take_over(seen, holder=self._holder, at=self._now()) if seen else {}

    def judge(self, claimed: Claimed, event_id: str, settlement: Settlement) -> Verdict:
        """What to do with this message's event."""
        asking = Asking(event_id, settlement, self._holder, self._now(), self._lease)
        return judge(claimed, asking, self.under_way.get(claimed.event_id))

    def hold(self, digest: str, event_id: str, settlement: Settlement) -> None:
        """The message has the key from now on, until its fate is committed."""
        self.under_way.add(event_id, settlement)
        self._held[digest, event_id] = (settlement, time.monotonic())

    def given_back(self) -> None:
        """Messages went back to the broker: others may have their claims soon."""
        self._hurry.set()

    async def keep(self) -> None:
        """Say what is still under way here, and what is not any more, until cancelled."""
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
        """The process stops: what is not over anybody may go on with. Raises HistoryUnavailable."""
        left = [claim for claim, (settlement, _) in self._held.items() if not settlement.complete]
        if left:
            await self._claims.release(left, holder=self._holder)

    async def _set_clock(self) -> None:
        asked_at = time.monotonic()
        self._zero = await self._claims.now() - asked_at

    def _now(self) -> float:
        """By the clock of all who claim."""
        return time.monotonic() + (self._zero or 0.0)

    async def _tell(self, before: float) -> None:
        self._held = {claim: held for claim, held in self._held.items() if not held[0].complete}
        given_up = [claim for claim, (settlement, _) in self._held.items() if settlement.open <= 0]
        if given_up:
            await self._claims.release(given_up, holder=self._holder)
        for claim in given_up:
            if self._held[claim][0].open <= 0:  # else it came again meanwhile
                del self._held[claim]
        old = [claim for claim, (_, since) in self._held.items() if since < before]
        if old:
            await self._claims.renew(old, holder=self._holder, at=self._now())
