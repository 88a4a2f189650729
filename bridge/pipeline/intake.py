"""What comes in from a source: decoded and routed at once, or kept raw while the process holds enough."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from bridge.core.delivery import Counted
from bridge.core.event import Event, Message, Received, Refused, Source, Undecodable
from bridge.core.ports import AckHandle
from bridge.expressions.engine import EvaluationError
from bridge.formats.decoder import Decoder
from bridge.formats.registry import AT_ONCE, Heavy
from bridge.measuring.dimensions import Dimensions, Value
from bridge.pipeline.dedupe import RedeliveryFilter
from bridge.pipeline.deliver import Delivering
from bridge.pipeline.hook_table import Precomputed
from bridge.pipeline.poison import PoisonMessageGuard
from bridge.pipeline.reading import LargeBodyReader
from bridge.pipeline.received import Part, ReceivedMessage, Remaining
from bridge.pipeline.settlement import (
    InFlight,
    SettledCallback,
    Settlement,
    awaited,
    contained,
    undecodable_for,
)
from bridge.pipeline.stream import StreamReader, StreamTicket
from bridge.routing.dedupe_keys import Keys, keyed_by, places
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics
from bridge.wire.copies import REQUEUED, delivery_count, message_digest
from bridge.wire.effects import Returns

TOO_OFTEN = "redelivered_too_often"
NEAR_THE_LIMIT = "delivery_limit"
STOPPING = "stopping"
_LIGHT = 8192
"""Bytes that are not counted beside what each message counts."""


class Intake:
    """One source's way in."""

    def __init__(
        self,
        source: Source,
        decoder: Decoder,
        delivering: Delivering,
        load: InFlight,
        *,
        metrics: Metrics,
        most_open: int,
        new_id: Callable[[], str],
        guard: PoisonMessageGuard,
        recall: RedeliveryFilter,
        aside: LargeBodyReader,
        dimensions: Dimensions | None = None,
    ) -> None:
        """`most_open`: deliveries that the process may hold before messages are kept back undecoded; `aside` is where
        large messages are decoded; `dimensions`: what is measured of each event. Raises ValueError for a bad key of `dedupe`.
        """
        self.source = source
        self._decoder, self._delivering, self._load = decoder, delivering, load
        self._most_open, self._new_id = most_open, new_id
        self._guard, self._recall = guard, recall
        self._aside, self._turn = aside, aside.turn
        self._later: asyncio.Task[None] | None = None
        self._decoding: dict[Settlement, asyncio.Task[None]] = {}
        self._routing: dict[Settlement, asyncio.Task[None]] = {}
        self._keys, self._key_failed = keyed_by(source), False
        self._dimensions = dimensions
        self._foreseen_keys = Precomputed[tuple[str | EvaluationError | None] | None]()
        self._foreseen_values = Precomputed[dict[str, Value] | None]()
        self._metrics = metrics.source(source.name)
        self._received = self._metrics.received
        self._last_message = metrics.queue(source.queue).last_message
        self._kept_back: deque[tuple[Message, AckHandle, SettledCallback | None]] = deque()
        self._returns = Returns()
        self._all_at_once, self._stopping = False, ""
        self.stream: StreamReader | None = None
        """Where its queue is a stream: how far it has been read."""
        self.urgent = 0.0
        """How many messages had come when the last one did that must not be held for long."""

    @property
    def name(self) -> str:
        """The source's."""
        return self.source.name

    @property
    def received(self) -> float:
        """How many messages ever came."""
        return self._received.value

    @property
    def returns(self) -> Returns:
        """How the source's queue counts what comes back; set before it is consumed."""
        return self._returns

    @returns.setter
    def returns(self, returns: Returns) -> None:
        self._returns = returns
        self._all_at_once = returns.all_at_once

    def receive(self, message: Message, ticket: AckHandle) -> None:
        """Take one message from the broker's callback."""
        self._received.value += 1
        if self.stream is None:
            self._take(message, ticket)
        else:
            self.stream.take(message, ticket, self._take)

    def _take(self, message: Message, ticket: AckHandle) -> None:
        if message.redelivered and (why := self._came_too_often(message)) is not None:
            self.refuse(why, message, ticket)
        elif message.redelivered or self._guard.holding:
            if self.is_urgent(message):
                self.urgent = self._received.value
            self._guard.take(self, message, ticket)
        else:
            self.admit(message, ticket)

    def _came_too_often(self, message: Message) -> Undecodable | None:
        """Why it must not be tried again before the broker drops it; None: it may."""
        bound = self._returns.kept_from
        if bound is None or (count := delivery_count(message.headers)) < bound:
            return None
        return Undecodable(TOO_OFTEN, f"the queue handed it out {count} times without an end")

    def is_urgent(self, message: Message) -> bool:
        """The broker drops it if it comes back some more times: it goes into its lanes, and nothing is attempted before."""
        return (message.redelivered or self._all_at_once) and self._returns.near_the_end(message.headers)

    def digest(self, message: Message) -> str:
        """The same each time the broker hands this message out."""
        return message_digest(self.source.queue, message)

    def admit(self, message: Message, ticket: AckHandle, over: SettledCallback | None = None) -> None:
        """Decode and route it, now or when there is room; `over` is told of its end."""
        if self._kept_back or not self._has_room() or self._turn.is_over():
            self._kept_back.append((message, ticket, over))
            self._go_on_later()
        else:
            self._start(message, ticket, over)

    def refuse(
        self, why: Undecodable, message: Message, ticket: AckHandle, over: SettledCallback | None = None
    ) -> None:
        """Put it into quarantine as it is."""
        settlement = self._settlement(ticket, over)
        self._delivering.quarantine(why, message, settlement)

    def admit_kept_back(self) -> None:
        """Go on with messages that were kept back, as far as there is room again."""
        while self._may_go_on():
            if self._turn.is_over():
                self._go_on_later()
                return
            self._start_next()

    def _may_go_on(self) -> bool:
        return bool(self._kept_back) and self._has_room()

    def _has_room(self) -> bool:
        return not self._decoding and not self._routing and self._load.open < self._most_open

    def _start_next(self) -> None:
        message, ticket, over = self._kept_back.popleft()
        if ticket.valid:
            self._start(message, ticket, over)
        elif over is not None:
            over(False)

    def _go_on_later(self) -> None:
        """In another turn of the event loop, if this one is what it waits for."""
        if self._later is None and self._may_go_on():
            self._later = asyncio.create_task(self._go_on_in_turn())

    async def _go_on_in_turn(self) -> None:
        await self._turn.own()
        self._later = None
        if self._may_go_on():
            self._start_next()
        self.admit_kept_back()

    def leave(self) -> None:
        """Nothing more comes, and the process ends: what was not begun goes back to the broker, or, where that counts it
        as one more delivery in vain, into its lanes.
        """
        for settlement in self._routing:
            settlement.park_reason = STOPPING
        if not self._returns.spent_by_nacks:
            self.give_back()
            return
        self._stopping = STOPPING
        for settlement in self._decoding:
            settlement.park_reason = STOPPING
        self._recall.park(self.source.name, STOPPING)
        self._guard.let_go(self)
        while self._kept_back:
            self._start_next()

    def give_back(self) -> None:
        """Hand what was kept back, here or on its way here, to the broker."""
        while self._decoding:
            settlement, task = self._decoding.popitem()
            task.cancel()
            settlement.give_back()
        self._guard.give_back(self)
        self._recall.give_back(self.source.name)
        while self._kept_back:
            _, ticket, over = self._kept_back.popleft()
            ticket.give_back()
            if over is not None:
                over(False)

    def _start(self, message: Message, ticket: AckHandle, over: SettledCallback | None) -> None:
        now = self._last_message.value = time.time()
        settlement = self._settlement(ticket, over)
        settlement.park_reason = self._stopping
        if (message.redelivered or self._all_at_once) and self.is_urgent(message):
            settlement.park_reason = NEAR_THE_LIMIT
        contained(self._decode_and_go_on, self._failed, message, settlement, now)

    def _decode_and_go_on(self, message: Message, settlement: Settlement, now: float) -> None:
        try:
            received = self._decoder.decode(message, new_id=self._new_id, received_at=now, at_once=AT_ONCE)
        except Heavy:
            task = asyncio.create_task(self._decode_aside(message, settlement, now))
            self._decoding[settlement] = task
        else:
            self._go_on(received, message, settlement)

    async def _decode_aside(self, message: Message, settlement: Settlement, now: float) -> None:
        """What comes after it waits: events of a source go on in its order."""
        await awaited(self._read_and_go_on, self._failed, message, settlement, now)
        self.admit_kept_back()

    async def _read_and_go_on(self, message: Message, settlement: Settlement, now: float) -> None:
        try:
            received = await self._aside.read(message, partial(self._decode, message, now))
        finally:
            self._decoding.pop(settlement, None)
        if settlement.valid:
            self._go_on(received, message, settlement)
        else:
            self._forget(received)
            settlement.drop_one()

    def _decode(self, message: Message, now: float) -> Received:
        """All of it that takes long, in a thread."""
        received = self._decoder.decode(message, new_id=self._new_id, received_at=now)
        for event, place in places(received):
            self._delivering.table.foresee(event)
            if self._keys is not None:
                self._foreseen_keys.note(event, (self._keys.of(event, place),))
            if self._dimensions is not None:
                self._foreseen_values.note(event, self._dimensions.of(event))
        return received

    def _forget(self, received: Received) -> None:
        """What was foreseen of a message that the broker hands out again."""
        for event in received.events:
            self._delivering.table.forget(event)
            self._foreseen_keys.take(event, None)
            self._foreseen_values.take(event, None)

    def _go_on(self, received: Received, message: Message, settlement: Settlement) -> None:
        if (weight := _weight(received)) > _LIGHT:
            settlement.grow(weight)
        self._route(received, message, settlement)

    def _failed(self, message: Message, settlement: Settlement, _: object, error: Exception) -> None:
        """A bug: the message goes to quarantine if nothing of it has started; else what has not started comes again."""
        if settlement.handed_out:
            events.intake_failed(self.source.name, error)
        elif settlement.valid:
            self._delivering.quarantine(undecodable_for(error), message, settlement)
        else:
            settlement.drop_one()

    def _settlement(self, ticket: AckHandle, over: SettledCallback | None) -> Settlement:
        if not isinstance(ticket, StreamTicket):
            return Settlement(ticket, self.source.name, self._load, self._metrics, over)
        settlement = Settlement(ticket, self.source.name, self._load, self._metrics, ticket.begin(over))
        settlement.place = ticket
        return settlement

    def _route(self, received: Received, message: Message, settlement: Settlement) -> None:
        """At once, unless something may be known of it already."""
        if received.events and (message.redelivered or self._keys is not None):
            self._metrics.redelivered.value += message.redelivered
            self._recall.take(self._arrival(received, message, settlement))
        else:
            self._fan_out([Remaining(event) for event in received.events], received.refused, settlement)

    def _arrival(self, received: Received, message: Message, settlement: Settlement) -> ReceivedMessage:
        parts = [Part(event) for event in received.events]
        window = 0.0
        if self._keys is not None and self.source.dedupe is not None and REQUEUED not in message.headers:
            window = self.source.dedupe.window
            for part, (event, place) in zip(parts, places(received), strict=True):
                part.digest = self._digest(self._key_of(self._keys, event, place))
        go_on = partial(self._resume, received.refused, message, settlement)
        return ReceivedMessage(parts, settlement, message.redelivered, window, go_on)

    def _key_of(self, keys: Keys, event: Event, place: int | None) -> str | EvaluationError | None:
        foreseen = self._foreseen_keys.take(event, None)
        return keys.of(event, place) if foreseen is None else foreseen[0]

    def _digest(self, key: str | EvaluationError | None) -> str | None:
        if isinstance(key, str) and self._keys is not None:
            return self._keys.digest(key)
        self._metrics.without_key.value += 1
        if isinstance(key, EvaluationError) and not self._key_failed:
            self._key_failed = True
            events.key_failed(self.source.name, key.detail)
        return None

    def _resume(
        self,
        refused: Sequence[Refused],
        message: Message,
        settlement: Settlement,
        remaining: Sequence[Remaining],
    ) -> None:
        """Go on with a message that the redelivery filter has looked at."""
        contained(
            lambda _, settlement, remaining: self._fan_out(remaining, refused, settlement),
            self._failed,
            message,
            settlement,
            remaining,
        )

    def _fan_out(
        self, remaining: Sequence[Remaining], refused: Sequence[Refused], settlement: Settlement
    ) -> None:
        """Route what remains to be done of a message, new or redelivered."""
        for one in remaining:
            if one.event.publisher_id is not None:
                self._recall.under_way.add(one.event.webhook_id, settlement)
            if one.before or one.duplicate:
                self._metrics.duplicates["published" if one.duplicate else "redelivered"].value += 1
        counted = self._counted(remaining) if self._dimensions is not None else ()
        rest = self._delivering.route(remaining, refused, settlement, counted)
        if rest is not None:
            self._routing[settlement] = asyncio.create_task(self._await_rest(rest, settlement))

    async def _await_rest(self, rest: Awaitable[None], settlement: Settlement) -> None:
        """Start what one iteration had no time for. Later messages wait: events of a source go on in its order."""
        await awaited(lambda rest: rest, self._rest_failed, rest)
        del self._routing[settlement]
        self.admit_kept_back()

    def _rest_failed(self, _: Awaitable[None], error: Exception) -> None:
        """A bug: what has not started comes again with the message."""
        events.intake_failed(self.source.name, error)

    def _counted(self, remaining: Sequence[Remaining]) -> Sequence[Counted]:
        """What is measured of each event when it comes in the first time: its deliveries may be several."""
        dimensions = self._dimensions
        if dimensions is None:
            return ()
        return [
            Counted(one.event, values)
            for one in remaining
            if not one.before
            and not one.duplicate
            and (values := self._foreseen_values.take(one.event, None) or dimensions.of(one.event))
        ]


def _weight(received: Received) -> int:
    """About how many bytes what was made of a message takes beside its body."""
    weight = sum([event.weight for event in received.events])
    if received.is_batch:
        weight += sum(len(event.message.body) for event in received.events)
    return weight
