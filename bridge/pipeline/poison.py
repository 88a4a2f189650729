"""The guard before decoding: detects messages that end the process, and quarantines them.

A classic queue counts no deliveries, so the guard counts, and only in a run of the process that follows an unclean stop. A
redelivered message is recorded before it begins, and removed when it is settled; few begin at once, so that few are in flight
at the next death. Those are suspects, and each begins alone. A suspect that was alone at a third death is quarantined. So a
poison message costs three deaths, and other messages hardly anything. If processes die more often than one poison message
explains, they may be killed from outside: then two deaths alone are required, and a message that was alone at the first one
begins before all others, so that it is settled before the next kill.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

import structlog

from bridge.core.base import Backoff
from bridge.core.errors import HistoryUnavailable
from bridge.core.event import Message, Undecodable
from bridge.core.guards import TRANSITIONS, Finding, Stage
from bridge.core.ports import AckHandle
from bridge.history.guards_store import SqlSuspects
from bridge.pipeline.settlement import InFlight, SettledCallback, contained
from bridge.telemetry import events

T = TypeVar("T")
log = structlog.get_logger(__name__)

ENDED_THE_PROCESS = "ended_the_process"

_CONVICTED = 2
"""The number of earlier runs that ended with a message in flight, alone at the last one, after which it is quarantined."""
_EXPLAINED = 3
"""The number of consecutive unclean stops that one poison message explains."""
_BEGUN_AT_ONCE = 8
_YOUNG = 0.25
"""Seconds for which a redelivered message that began holds up others: slow endpoints must not hold up all of them."""
_GATHER = 0.005
_LARGE = 1_048_576
"""Bytes from which on a body is hashed in a thread: its digest takes too long for the event loop."""
_HOLD = 10.0
"""Seconds per run of the process for which all other messages wait for suspects: if another message ended the process
meanwhile, the suspect would be blamed. After that, suspects run one by one beside the others.
"""
_PATIENCE = 30.0
"""Seconds within which each waiting suspect should have had its turn, however slow its endpoint is."""
_SHORTEST = 1.0
_LOOK_EVERY = 0.02
_FORGET_AFTER = 1.0


class GuardedPath(Protocol):
    """The path of a message: the intake of a source, or the lanes."""

    @property
    def name(self) -> str:
        """Returns the name that people see."""
        ...

    def digest(self, message: Message) -> str:
        """Returns a digest that is the same on each redelivery of the message."""
        ...

    def is_urgent(self, message: Message) -> bool:
        """Returns whether the message is near its delivery limit. Such a message does not wait: it is parked without an
        attempt, which takes negligible time.
        """
        ...

    def has_last_turn(self, message: Message) -> bool:
        """Returns whether the broker drops the message once it is returned again. Such a message waits for no other suspect:
        it would be lost at the next death, begun or not.
        """
        ...

    def admit(self, message: Message, ticket: AckHandle, on_settled: SettledCallback | None = None) -> None:
        """Lets the message pass to the next stage."""
        ...

    def refuse(
        self, why: Undecodable, message: Message, ticket: AckHandle, on_settled: SettledCallback | None = None
    ) -> None:
        """Quarantines the message without beginning with it."""
        ...


@dataclass(frozen=True, slots=True)
class _Held:
    """A message that waits in the guard; `digest` is empty if it was delivered for the first time."""

    way: GuardedPath
    message: Message
    ticket: AckHandle
    digest: str


def _found(complete: bool) -> Finding:
    return Finding.DONE if complete else Finding.NOT_DONE


async def _digest_of(held: _Held) -> str:
    digest = partial(held.way.digest, held.message)
    return digest() if len(held.message.body) < _LARGE else await asyncio.to_thread(digest)


class PoisonMessageGuard:
    """Holds back messages that may end the process. Until `watch_out` is called all messages pass."""

    def __init__(self, suspects: SqlSuspects, load: InFlight, replica: str) -> None:
        """`load` counts deliveries in flight; `replica` identifies this run of the process."""
        self._suspects = suspects
        self._load = load
        self._replica = replica
        self._on = False
        self._new: list[_Held] = []
        self._behind: list[_Held] = []
        self._alone: dict[str, list[_Held]] = {}
        self._over: set[str] = set()
        self._first: list[_Held] = []
        self._urgent: list[_Held] = []
        self._hurry = asyncio.Event()
        self._young: dict[str, float] = {}
        self._convicted = _CONVICTED
        self._until: float | None = None
        self._arrived = asyncio.Event()
        self._suspected = asyncio.Event()
        self._ended = asyncio.Event()
        self.holding = False
        """New messages have to come here, too."""

    async def watch_out(self) -> None:
        """Activates the guard after an unclean stop; called before any queue is consumed. Raises HistoryUnavailable."""
        deaths = await self._suspects.count_unclean_stop()
        self._convicted = _CONVICTED + (deaths > _EXPLAINED)
        self._on = self.holding = True
        effect = "what comes again is noted down before it is begun with"
        log.warning("poison.unclean_shutdown", in_a_row=deaths, effect=effect)

    def take(self, way: GuardedPath, message: Message, ticket: AckHandle) -> None:
        """Accepts a redelivered message or, while `holding`, any message; it passes when it may."""
        if not self._on:
            way.admit(message, ticket)
            return
        (self._new if message.redelivered else self._behind).append(_Held(way, message, ticket, ""))
        self._arrived.set()

    async def run(self) -> None:
        """Lets messages pass until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sort())
            tasks.create_task(self._one_by_one())
            tasks.create_task(self._at_once())
            tasks.create_task(self._forget())

    def requeue(self, way: GuardedPath) -> None:
        """Returns to the broker the messages that wait here on this path."""
        for some in (self._new, self._behind, self._first, self._urgent, *self._alone.values()):
            for held in some:
                if held.way is way:
                    held.ticket.requeue()
            some[:] = [held for held in some if held.way is not way]

    def let_pass(self, way: GuardedPath) -> None:
        """Lets the messages that wait here on this path pass, except suspects, which are returned to the broker."""
        waiting = [
            held for some in (self._new, self._behind, self._first) for held in some if held.way is way
        ]
        for some in (self._new, self._behind, self._first):
            some[:] = [held for held in some if held.way is not way]
        self.requeue(way)
        for held in waiting:
            if held.ticket.valid:
                self._admit(held, None)

    async def leave(self) -> None:
        """Records a clean stop of the process. Raises HistoryUnavailable."""
        if self._on:
            await self._suspects.leave(self._replica)
            await self._suspects.clear(self._over)

    # ---- classification -------------------------------------------------------------------------------

    async def _sort(self) -> None:
        while True:
            await self._arrived.wait()
            await asyncio.sleep(_GATHER)
            self._arrived.clear()
            await self._sort_new()
            self.holding = self._must_wait()
            if not self.holding:
                await self._release()

    async def _sort_new(self) -> None:
        waiting, self._new = self._new, []
        new = [replace(held, digest=await _digest_of(held)) for held in waiting]
        times = await self._times({held.digest for held in new})
        urgent = [held for held in new if self._waits_for_none(held, times.get(held.digest, 0))]
        await self._release_noted(urgent)
        for held in new:
            if held not in urgent:
                self._put(held, times.get(held.digest, 0))

    def _waits_for_none(self, held: _Held, times: int) -> bool:
        if not held.way.is_urgent(held.message):
            return False
        return not times or (times < self._convicted and held.way.has_last_turn(held.message))

    def _put(self, held: _Held, times: int) -> None:
        if not held.ticket.valid:
            return  # the broker redelivers it
        stage = TRANSITIONS[Stage.ARRIVED, self._finding(times)]
        if stage is Stage.QUARANTINED:
            why = f"it was under way each of the {times + 1} times that the process ended without stopping in order"
            held.way.refuse(
                Undecodable(ENDED_THE_PROCESS, why),
                held.message,
                held.ticket,
                partial(self._end, Stage.QUARANTINED, held.digest),
            )
        elif stage is Stage.IN_COMPANY:
            self._first.append(held)
        elif held.way.is_urgent(held.message):
            self._urgent.append(held)
            self._hurry.set()
        else:
            self._alone.setdefault(held.digest, []).append(held)
            if times >= _CONVICTED:
                self._alone = {held.digest: self._alone.pop(held.digest), **self._alone}
            self._suspected.set()

    def _finding(self, times: int) -> Finding:
        if times >= self._convicted:
            return Finding.CONVICTED
        return Finding.DEATH if times else Finding.NO_DEATH

    def _must_wait(self) -> bool:
        if not self._alone:
            return False
        if self._until is None:
            self._until = time.monotonic() + _HOLD
            asyncio.get_running_loop().call_later(_HOLD, self._arrived.set)
        return time.monotonic() < self._until

    async def _release(self) -> None:
        """Lets messages delivered for the first time pass, and a few redelivered ones, which are recorded before."""
        behind, self._behind = self._behind, []
        for held in behind:
            if held.ticket.valid:
                self._admit(held, None)
        room = self._room()
        some, self._first = self._first[:room], self._first[room:]
        await self._release_noted(some)
        if self._first:
            asyncio.get_running_loop().call_later(_YOUNG, self._arrived.set)

    async def _release_noted(self, some: Sequence[_Held]) -> None:
        if noted := {held.digest for held in some}:
            await self._note(noted)
        for held in some:
            if held.ticket.valid:
                self._young[held.digest] = time.monotonic()
                self._admit(held, partial(self._end, Stage.IN_COMPANY, held.digest))

    def _room(self) -> int:
        since = time.monotonic() - _YOUNG
        self._young = {digest: begun for digest, begun in self._young.items() if begun > since}
        return max(0, _BEGUN_AT_ONCE - len(self._young))

    # ---- suspects -------------------------------------------------------------------------------------

    async def _one_by_one(self) -> None:
        while True:
            await self._suspected.wait()
            self._suspected.clear()
            while self._alone:
                await self._next_alone()
            self._arrived.set()

    async def _next_alone(self) -> None:
        await self._quiet()
        digest, some = next(iter(self._alone.items()))
        patience = max(_SHORTEST, _PATIENCE / len(self._alone))
        innocent = await self._begin(digest, some, patience)
        del self._alone[digest]
        if innocent:
            # These very bytes have just passed without harm: further messages with them need no check.
            self._behind += [replace(held, digest="") for held in some]
        elif some:
            self._alone[digest] = some

    async def _at_once(self) -> None:
        """Lets suspects near their delivery limit pass one by one, whatever else is in flight: each is settled at once."""
        while True:
            await self._hurry.wait()
            self._hurry.clear()
            while self._urgent:
                await self._begin_urgent()

    async def _begin_urgent(self) -> None:
        held = self._urgent.pop(0)
        await self._begin(held.digest, [held], _SHORTEST)

    async def _quiet(self) -> None:
        """Waits until no other message is in flight, or new messages are not held any more."""
        while self._load.open and self.holding:  # noqa: ASYNC110 - the count of the hot path wakes nobody
            await asyncio.sleep(_LOOK_EVERY)

    async def _begin(self, digest: str, some: list[_Held], patience: float) -> bool:
        """Lets the first of these messages pass and removes it; returns whether all its deliveries have a committed fate in
        time.
        """
        await self._note({digest})
        some[:] = [held for held in some if held.ticket.valid]
        if some:
            held = some.pop(0)
            log.info(
                "poison.isolated",
                source=held.way.name,
                digest=digest[:12],
                waiting=max(0, len(self._alone) - 1),
            )
            ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            self._admit(held, partial(self._end_alone, digest, ended))
            await asyncio.wait({ended}, timeout=patience)
            finding = _found(ended.result()) if ended.done() else Finding.NOT_IN_TIME
            if TRANSITIONS[Stage.ALONE, finding] is Stage.SETTLED:
                return True
        await self._insist(partial(self._suspects.doubt, {digest}, self._replica))
        return False

    def _end_alone(self, digest: str, ended: "asyncio.Future[bool]", complete: bool) -> None:
        self._end(Stage.ALONE, digest, complete)
        if not ended.done():
            ended.set_result(complete)

    # ---- settled messages -----------------------------------------------------------------------------

    def _admit(self, held: _Held, on_settled: SettledCallback | None) -> None:
        contained(
            lambda held, on_settled: held.way.admit(held.message, held.ticket, on_settled),
            lambda held, _, error: events.intake_failed(held.way.name, error),
            held,
            on_settled,
        )

    def _end(self, stage: Stage, digest: str, complete: bool) -> None:
        """Keeps the record of a message that is redelivered: it is counted once for this run."""
        if self._young.pop(digest, 0.0) and self._first:
            self._arrived.set()
        if TRANSITIONS[stage, _found(complete)] is Stage.SETTLED:
            self._over.add(digest)
            self._ended.set()

    async def _forget(self) -> None:
        while True:
            await self._ended.wait()
            await asyncio.sleep(_FORGET_AFTER)
            self._ended.clear()
            on_settled, self._over = self._over, set()
            await self._insist(partial(self._suspects.clear, on_settled))

    # ---- database -------------------------------------------------------------------------------------

    async def _times(self, digests: Collection[str]) -> Mapping[str, int]:
        if not digests:
            return {}
        return await self._insist(partial(self._suspects.times, digests, self._replica))

    async def _note(self, digests: Collection[str]) -> None:
        on_settled = self._over.difference(digests)
        await self._insist(partial(self._suspects.note, digests, self._replica, on_settled))
        self._over -= on_settled

    async def _insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Retries the query until the database answers; the prefetch bounds what waits here meanwhile."""
        backoff = Backoff()
        while True:
            try:
                return await ask()
            except HistoryUnavailable:
                await backoff.pause()
