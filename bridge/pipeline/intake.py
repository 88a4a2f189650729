"""The intake of a source: decodes and routes its messages at once, or keeps them undecoded under backpressure."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
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
from bridge.pipeline.settlement import (
    Follow,
    InFlight,
    Part,
    ReceivedMessage,
    Remaining,
    SettledCallback,
    Settlement,
    awaited,
    contained,
    undecodable_for,
    weight_of,
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
"""Bytes below which the objects made of a message are not counted."""


class Intake:
    """The intake of one source."""

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
        large_bodies: LargeBodyReader,
        dimensions: Dimensions | None = None,
        follow: Follow | None = None,
    ) -> None:
        """`most_open`: open deliveries above which messages are kept back undecoded; `large_bodies` decodes large messages;
        `dimensions`: the values counted of each event; `follow` makes spans. Raises ValueError for an invalid `dedupe` key.
        """
        self.source, self.name = source, source.name
        self._decoder, self._delivering, self._load = decoder, delivering, load
        self._most_open, self._new_id = most_open, new_id
        self._guard, self._recall = guard, recall
        self._large_bodies, self._turn = large_bodies, large_bodies.turn
        self._later: asyncio.Task[None] | None = None
        self._decoding: dict[Settlement, asyncio.Task[None]] = {}
        self._routing: dict[Settlement, asyncio.Task[None]] = {}
        self._keys, self._key_failed = keyed_by(source), False
        self._dimensions, self._follow = dimensions, follow
        self._foreseen_values = Precomputed[dict[str, Value] | None]()
        self._metrics = metrics.source(source.name)
        self._last_message = metrics.queue(source.queue).last_message
        self.kept_back: deque[tuple[Message, AckHandle, SettledCallback | None]] = deque()
        self._returns, self._all_at_once, self._stopping = Returns(), False, ""
        self.stream: StreamReader | None = None
        """Where its queue is a stream: how far it has been read."""
        self.urgent = 0.0
        """How many messages had come when the last one did that must not be held for long."""

    @property
    def received(self) -> float:
        """Returns the number of messages received so far."""
        return self._metrics.received.value

    @property
    def returns(self) -> Returns:
        """Returns how the source's queue counts redeliveries; set before it is consumed."""
        return self._returns

    @returns.setter
    def returns(self, returns: Returns) -> None:
        self._returns = returns
        self._all_at_once = returns.all_at_once

    def receive(self, message: Message, ticket: AckHandle) -> None:
        """Accepts one message from the broker's callback."""
        self._metrics.received.value += 1
        if self.stream is not None:
            self.stream.take(message, ticket, self._take)
        elif message.redelivered or self._guard.holding or self._must_wait():
            self._take(message, ticket)
        else:
            self._start(message, ticket, None)

    def _take(self, message: Message, ticket: AckHandle) -> None:
        if message.redelivered:
            self.returns = self._returns.seen_in(message.headers)
        if message.redelivered and (why := self._came_too_often(message)) is not None:
            self.refuse(why, message, ticket)
        elif message.redelivered or self._guard.holding:
            if self.is_urgent(message):
                self.urgent = self._metrics.received.value
            self._guard.take(self, message, ticket)
        else:
            self.admit(message, ticket)

    def _came_too_often(self, message: Message) -> Undecodable | None:
        """Returns the fault of a message that was redelivered too often to be tried again before the broker drops it; None if
        it may be tried.
        """
        bound = self._returns.kept_from
        if bound is None or (count := delivery_count(message.headers)) < bound:
            return None
        return Undecodable(TOO_OFTEN, f"the queue handed it out {count} times without an end")

    def is_urgent(self, message: Message) -> bool:
        """Returns whether the message is near its delivery limit: its deliveries are parked before anything is attempted."""
        return (message.redelivered or self._all_at_once) and self._returns.near_the_end(message.headers)

    def has_last_turn(self, message: Message) -> bool:
        """Returns whether the broker drops the message once it is returned again."""
        return message.redelivered and self._returns.has_last_turn(message.headers)

    def digest(self, message: Message) -> str:
        """Returns a digest that is the same on each redelivery of the message."""
        return message_digest(self.source.queue, message)

    def admit(self, message: Message, ticket: AckHandle, on_settled: SettledCallback | None = None) -> None:
        """Decodes and routes the message, now or when there is room; `on_settled` is called when it is settled."""
        if self._must_wait():
            self.kept_back.append((message, ticket, on_settled))
            self._go_on_later()
        else:
            self._start(message, ticket, on_settled)

    def refuse(
        self, why: Undecodable, message: Message, ticket: AckHandle, on_settled: SettledCallback | None = None
    ) -> None:
        """Puts the message into quarantine as it is."""
        settlement = self._settlement(message, ticket, on_settled)
        self._delivering.quarantine(why, message, settlement)

    def admit_kept_back(self) -> None:
        """Decodes and routes messages that were kept back, as far as there is room again."""
        while self._may_go_on():
            if self._turn.is_over():
                self._go_on_later()
                return
            self._start_next()

    def _must_wait(self) -> bool:
        return bool(self.kept_back) or not self._has_room() or self._turn.is_over()

    def _may_go_on(self) -> bool:
        return bool(self.kept_back) and self._has_room()

    def _has_room(self) -> bool:
        return not self._decoding and not self._routing and self._load.open < self._most_open

    def _start_next(self) -> None:
        message, ticket, on_settled = self.kept_back.popleft()
        if ticket.valid:
            self._start(message, ticket, on_settled)
        elif on_settled is not None:
            on_settled(False)

    def _go_on_later(self) -> None:
        """Continues in a later iteration of the event loop, if the time of this one is used up."""
        if self._later is None and self._may_go_on():
            self._later = asyncio.create_task(self._go_on_in_turn())

    async def _go_on_in_turn(self) -> None:
        await self._turn.own()
        self._later = None
        if self._may_go_on():
            self._start_next()
        self.admit_kept_back()

    @property
    def busy(self) -> bool:
        """Returns whether deliveries of a message are being started."""
        return bool(self._routing)

    async def leave(self) -> None:
        """Ends the intake: undecoded messages are returned to the broker, or parked where it counts returns."""
        for settlement in self._routing:
            settlement.park_reason = STOPPING
        if not self._returns.spent_by_nacks:
            self.requeue()
            return
        self._stopping = STOPPING
        for settlement in self._decoding:
            settlement.park_reason = STOPPING
        self._recall.park(self.name, STOPPING)
        self._guard.let_pass(self)
        while self.kept_back:
            self._start_next()
            await self._turn.own()

    def requeue(self) -> None:
        """Returns to the broker the messages that were kept back here, or are held by an earlier stage."""
        while self._decoding:
            settlement, task = self._decoding.popitem()
            task.cancel()
            settlement.requeue()
        self._guard.requeue(self)
        self._recall.requeue(self.name)
        while self.kept_back:
            _, ticket, on_settled = self.kept_back.popleft()
            ticket.requeue()
            if on_settled is not None:
                on_settled(False)

    def _start(self, message: Message, ticket: AckHandle, on_settled: SettledCallback | None) -> None:
        now = self._last_message.value = time.time()
        settlement = self._settlement(message, ticket, on_settled)
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
            parts = self._parts(received, message)
            if not self._looked_up(received, parts, message, settlement):
                self._fan_out([Remaining(event) for event in received.events], received.refused, settlement)

    async def _decode_aside(self, message: Message, settlement: Settlement, now: float) -> None:
        """Decodes a large message in a thread. Later messages wait: the events of a source keep their order."""
        await awaited(self._read_and_go_on, self._failed, message, settlement, now)
        self.admit_kept_back()

    async def _read_and_go_on(self, message: Message, settlement: Settlement, now: float) -> None:
        try:
            received, parts = await self._large_bodies.read(message, partial(self._decode, message, now))
        finally:
            self._decoding.pop(settlement, None)
        if not settlement.valid:
            settlement.drop_one()
        elif not self._looked_up(received, parts, message, settlement):
            self._fan_out([Remaining(event) for event in received.events], received.refused, settlement)

    def _decode(self, message: Message, now: float) -> tuple[Received, list[Part]]:
        """Decodes the message and precomputes what takes long, in a thread."""
        received = self._decoder.decode(message, new_id=self._new_id, received_at=now)
        for event in received.events:
            self._delivering.table.foresee(event)
            if self._dimensions is not None and self._dimensions.only in {None, event.format}:
                self._foreseen_values.note(event, self._dimensions.of(event))
        return received, self._parts(received, message)

    def _looked_up(
        self, received: Received, parts: list[Part], message: Message, settlement: Settlement
    ) -> bool:
        """Returns whether the redelivery filter looks first whether the message was received before; it is routed after that."""
        if (weight := weight_of(received)) > _LIGHT:
            settlement.grow(weight)
        if not parts:
            return False
        self._metrics.redelivered.value += message.redelivered
        window = 0.0 if self.source.dedupe is None else self.source.dedupe.window
        resume = partial(self._resume, received.refused, message, settlement)
        self._recall.take(ReceivedMessage(parts, settlement, message.redelivered, window, resume))
        return True

    def _failed(self, message: Message, settlement: Settlement, _: object, error: Exception) -> None:
        """Handles a bug: quarantine if no delivery has started; else what has not is repeated after redelivery."""
        if settlement.handed_out:
            events.intake_failed(self.name, error)
        elif settlement.valid:
            self._delivering.quarantine(undecodable_for(error), message, settlement)
        else:
            settlement.drop_one()

    def _settlement(
        self, message: Message, ticket: AckHandle, on_settled: SettledCallback | None
    ) -> Settlement:
        if self._follow is None:
            return self._settlement_of(ticket, on_settled)
        return self._follow(self.source, message, on_settled, partial(self._settlement_of, ticket))

    def _settlement_of(self, ticket: AckHandle, on_settled: SettledCallback | None) -> Settlement:
        if not isinstance(ticket, StreamTicket):
            return Settlement(ticket, self.name, self._load, self._metrics, on_settled)
        settlement = Settlement(ticket, self.name, self._load, self._metrics, ticket.begin(on_settled))
        settlement.place = ticket
        return settlement

    def _parts(self, received: Received, message: Message) -> list[Part]:
        """Returns the events, with the digests of their keys, for the redelivery filter; nothing if the message bypasses it.

        Called in a thread for a large message, while no other message of the source is read.
        """
        if self._keys is None:
            return [Part(event) for event in received.events] if message.redelivered else []
        if REQUEUED in message.headers:
            return [Part(event) for event in received.events]
        return [Part(event, self._digest(self._keys, event, place)) for event, place in places(received)]

    def _digest(self, keys: Keys, event: Event, place: int | None) -> str | None:
        key = keys.of(event, place)
        if isinstance(key, str):
            return keys.digest(key)
        self._metrics.without_key.value += 1
        if isinstance(key, EvaluationError) and not self._key_failed:
            self._key_failed = True
            events.key_failed(self.name, key.detail)
        return None

    def _resume(
        self,
        refused: Sequence[Refused],
        message: Message,
        settlement: Settlement,
        remaining: Sequence[Remaining],
    ) -> None:
        """Continues with a message that the redelivery filter has checked."""
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
        """Routes the remaining deliveries of a message, new or redelivered."""
        for one in remaining:
            if one.event.publisher_id is not None:
                self._recall.under_way.add(one.event.webhook_id, settlement)
            if one.before or one.duplicate:
                self._metrics.duplicates["published" if one.duplicate else "redelivered"].value += 1
        counted: Iterable[Counted] = ()
        # All events of a message have one format.
        if (
            self._dimensions is not None
            and remaining
            and self._dimensions.only in {None, remaining[0].event.format}
        ):
            counted = self._counted(self._dimensions, remaining)
        rest = self._delivering.route(remaining, refused, settlement, counted)
        if rest is not None:
            self._routing[settlement] = asyncio.create_task(self._await_rest(rest, settlement))

    async def _await_rest(self, rest: Awaitable[None], settlement: Settlement) -> None:
        """Starts the remaining deliveries. Later messages wait: the events of a source keep their order."""
        await awaited(lambda rest: rest, self._rest_failed, rest)
        del self._routing[settlement]
        self.admit_kept_back()

    def _rest_failed(self, _: Awaitable[None], error: Exception) -> None:
        """Handles a bug: deliveries that have not started are repeated after redelivery."""
        events.intake_failed(self.name, error)

    def _counted(self, dimensions: Dimensions, remaining: Sequence[Remaining]) -> Iterator[Counted]:
        """Yields the values that statistics count of each event, once per event and only on its first receipt."""
        for one in remaining:
            if not one.before and not one.duplicate:
                values = self._foreseen_values.take(one.event, None) or dimensions.of(one.event)
                if values:
                    yield Counted(one.event, values)
