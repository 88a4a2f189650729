"""Orphans and dead letters: copies that came from the ladder and found no lane, or went over their delivery limit."""

import asyncio
import time
from collections.abc import Callable
from functools import partial

import structlog

from bridge.core.base import Backoff
from bridge.core.delivery import Delivery, Parked, Quarantined, Record, Status
from bridge.core.errors import BridgeError
from bridge.core.event import Message, Undecodable
from bridge.core.ports import AckHandle, Copies
from bridge.pipeline.fencing import Fence
from bridge.pipeline.hook_table import Deleted, HookTable
from bridge.pipeline.reading import CopyReader, Resume
from bridge.pipeline.recorder import Recorder
from bridge.pipeline.settlement import InFlight, SettledCallback, Settlement
from bridge.pipeline.watch import PipelineWatch
from bridge.wire.copies import FORGED

log = structlog.get_logger(__name__)

_ROOM = 50
"""Maximum number of unknown orphans held while later ones are looked at; beyond it, the oldest go to the end of their queue.
Half of the prefetch.
"""
_WHOLE = 4_194_304
"""Maximum bytes of the bodies of unknown orphans held here; the bodies of others stay on the broker alone."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
"""Seconds between two such moves; the pause grows while no orphan behind them belongs to a known hook."""

_LOG_PAUSE = 60.0
"""Seconds between two log lines of one kind about one subject."""
_LOGGED_MOST = 1000
"""Maximum number of remembered subjects; their names come from messages, so a publisher can invent any number."""


class RateLimitedLog:
    """Counts the occurrences of an event per subject, and limits how often they are logged."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}
        self._count: dict[str, int] = {}

    def due(self, about: str) -> int:
        """Returns the occurrences since the last log line, this one included; 0 if it is too early for another line."""
        now = self._clock()
        count = self._count.get(about, 0) + 1
        if now < self._last.get(about, now - _LOG_PAUSE) + _LOG_PAUSE:
            self._count[about] = count
            return 0
        if len(self._last) >= _LOGGED_MOST:
            self._last.clear()
            self._count.clear()
        self._last[about] = now
        self._count.pop(about, None)
        return count


class CopyQuarantine:
    """Keeps copies that cannot be handled in quarantine."""

    def __init__(
        self,
        table: HookTable,
        recorder: Recorder,
        load: InFlight,
        *,
        watch: PipelineWatch,
        reader: CopyReader,
        new_id: Callable[[], str],
    ) -> None:
        self._table, self._recorder, self._load = table, recorder, load
        self._watch, self._reader, self._new_id = watch, reader, new_id

    def take(
        self, why: Undecodable, message: Message, ticket: AckHandle, on_settled: SettledCallback | None = None
    ) -> None:
        """Keeps the copy, whole; its delivery, if it has one, is FAILED for the same reason."""
        settlement = Settlement(ticket, "lanes", self._load, on_settled=on_settled)
        decoded = self._reader.read_without_data(message)
        now = time.time()
        if isinstance(decoded, Delivery):
            settlement.hand_out(2)
            runner = self._table.get(decoded.hook)
            target = runner.hook.target.type if runner is not None else ""
            self._recorder.add(Record(decoded, target, Status.FAILED, why.reason, now), settlement)
        kept = Quarantined(self._new_id(), settlement.source, why.reason, why.detail, now, message)
        self._recorder.add(kept, settlement)
        self._watch.quarantined(settlement.source, why)


class OrphanedCopies:
    """Parks orphans of known hooks again, ends those of deleted hooks, quarantines dead letters, and leaves unknown orphans on
    the broker.
    """

    def __init__(
        self,
        table: HookTable,
        copies: Copies,
        load: InFlight,
        *,
        deleted: Deleted,
        fence: Fence,
        quarantine: Callable[[Undecodable, Message, AckHandle], None],
        reader: CopyReader,
        unverified: Callable[[Message, AckHandle, SettledCallback | None, Resume], None],
    ) -> None:
        """`unverified` takes copies without a valid signature."""
        self._table = table
        self._copies = copies
        self._load = load
        self._deleted = deleted
        self._fence = fence
        self._quarantine = quarantine
        self._reader = reader
        self._unverified = unverified
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: list[tuple[Message | None, AckHandle]] = []
        self._pause = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE)
        self._said = RateLimitedLog()

    @property
    def unknown(self) -> int:
        """Returns the number of orphans that are held unsettled because no hook here has their id; they stay on the broker."""
        self._held = [(message, ticket) for message, ticket in self._held if ticket.valid]
        return len(self._held)

    def bring_known_home(self) -> None:
        """Checks the held orphans again after hooks have changed."""
        self._pause.reset()
        held, self._held = self._held, []
        for message, ticket in held:
            if message is None:
                ticket.requeue()  # the broker redelivers it, whole
            elif ticket.valid:
                self.orphan(message, ticket)

    async def make_room(self) -> None:
        """Moves unknown orphans to the end of their queue so that later ones are delivered, until cancelled."""
        while True:
            await self._pause.pause()
            if self.unknown <= _ROOM:
                self._pause.reset()
                continue
            await self._move()

    async def _move(self) -> None:
        moving, self._held = self._held[:-_ROOM], self._held[-_ROOM:]
        for at, (message, ticket) in enumerate(moving):
            if message is None:
                ticket.requeue()  # it is moved when it is redelivered, in place of those that go now
                continue
            try:
                await self._copies.set_aside(message)
            except BridgeError as error:
                log.warning("orphan.not_moved", error=str(error))
                self._held = moving[at:] + self._held
                break
            ticket.finish()

    def orphan(self, message: Message, ticket: AckHandle) -> None:
        """Handles a copy that came back from the ladder and found no lane."""
        match self._reader.read_without_data(message):
            case Undecodable(reason=reason) if reason == FORGED:
                self._unverified(message, ticket, None, partial(self._go_home, message))
            case Undecodable():
                self._hold(message, ticket)
            case Delivery() as delivery:
                self._go_home(message, delivery, ticket)

    def _go_home(
        self,
        message: Message,
        delivery: Delivery,
        ticket: AckHandle,
        on_settled: SettledCallback | None = None,
    ) -> None:
        if delivery.hook in self._deleted:
            self._fence.add(delivery, ticket, on_settled)
        elif self._table.get(delivery.hook) is None:
            self._hold(message, ticket)
        else:
            self._pause.reset()
            settlement = Settlement(ticket, "", self._load, on_settled=on_settled)
            task = asyncio.create_task(self._bring_home(delivery, settlement))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _hold(self, message: Message, ticket: AckHandle) -> None:
        """Holds the copy until its hook is known. Its memory is not counted in the budget: reading would halt for ever."""
        ticket.release()
        whole = sum(len(kept.body) for kept, _ in self._held if kept is not None)
        self._held.append((message if whole + len(message.body) <= _WHOLE else None, ticket))
        if count := self._said.due("unknown " + message.routing_key):
            effect = "it stays in the queue of orphans"
            log.error("orphan.unknown", hook=message.routing_key, count=count, effect=effect)

    async def _bring_home(self, delivery: Delivery, settlement: Settlement) -> None:
        """Parks the delivery, which declares the lane again; nothing is recorded."""
        backoff = Backoff()
        while settlement.valid:
            try:
                await self._copies.park(delivery)
            except BridgeError as error:
                log.warning("orphan.not_parked", hook=delivery.hook, error=str(error))
                await backoff.pause()
            else:
                if (runner := self._table.get(delivery.hook)) is not None:
                    runner.copy_sent(Parked("orphan"), delivery.event.received_at)
                settlement.fate_committed()
                return
        settlement.drop_one()

    def dead(self, message: Message, ticket: AckHandle) -> None:
        """Handles a copy that went over its lane's delivery limit, which suggests that it ends processes."""
        why = _latest_death(message)
        if why == "expired":
            if count := self._said.due("expired " + message.routing_key):
                advice = "take the TTL of its lane out of policies"
                log.warning("copy.expired", hook=message.routing_key, count=count, advice=advice)
            self.orphan(message, ticket)
            return
        match self._reader.read_without_data(message):
            case Undecodable(reason=reason) as forged if reason == FORGED:
                self._quarantine(forged, message, ticket)
            case _:
                detail = f"lane of hook {message.routing_key}"
                if why == "maxlen":  # parking it again would push out the next one
                    detail += ": pushed out by a policy with a length limit and overflow drop-head"
                limit = Undecodable("delivery_limit", detail)
                self._quarantine(limit, message, ticket)


def _latest_death(message: Message) -> str:
    """Returns the reason of the last dead-lettering: `expired` or `maxlen` where a policy limits the age or
    number of messages.
    """
    deaths = message.headers.get("x-death")
    latest = deaths[0] if isinstance(deaths, list) and deaths else None
    return str(latest.get("reason", "")) if isinstance(latest, dict) else ""
