"""The queue target: delivery to another queue or exchange."""

import asyncio
from dataclasses import replace

from bridge.core.delivery import Answer, Delivery, Evidence, Fault
from bridge.core.errors import BridgeError, BrokerRefused, PublishTooLarge, Unroutable
from bridge.core.ports import Outgoing, Preview, Publisher
from bridge.core.target import QueueTarget as Settings
from bridge.targets.evidence import LARGE, EvidenceRecorder
from bridge.wire.copies import HOPS, clean_headers, hops_of, is_taken

MOST_HOPS = 10
"""Maximum number of times bridges forward a message: beyond it there is a loop."""

_LONGEST_NAME = 255
_TRACE = frozenset({"traceparent", "tracestate"})


class QueuePublisher:
    """The target that publishes the event's bytes, properties and headers, confirmed and mandatory.

    `message_id` is the event's stable id, unless the hook keeps the publisher's.
    """

    def __init__(self, settings: Settings, publisher: Publisher, most_hops: int = MOST_HOPS) -> None:
        self._settings = settings
        self._publisher = publisher
        self._most_hops = most_hops
        self._exchange = settings.exchange or ""
        self._routing_key = (settings.routing_key if settings.queue is None else settings.queue) or ""
        self._keeps_id = "message_id" in settings.keep
        self._keeps_expiration = "expiration" in settings.keep
        self._declared = not (settings.declare and settings.queue)
        self._own_trace = not _TRACE.isdisjoint(settings.headers)
        self._told = EvidenceRecorder(settings)

    async def attempt(self, delivery: Delivery) -> Answer:
        """Publish once; a missing queue is unroutable, and is declared for the next attempt if `declare` is set."""
        event = delivery.event
        hops = hops_of(event.message.headers)
        if hops >= self._most_hops:
            error = f"passed on {hops} times already: it goes round in a circle"
            return Answer(fault=Fault.LOOP, error=error, lasting=True)
        message = self._outgoing(delivery, hops + 1)
        if len(message.body) < LARGE:
            told = self._tell(message)
        else:
            told = await asyncio.to_thread(self._tell, message)
        try:
            async with asyncio.timeout(self._settings.timeout):
                await self._publish(message)
        except Exception as error:  # noqa: BLE001 - the port promises an Answer for every fault
            return replace(self._answer_for(error), evidence=told)
        return Answer(evidence=told)

    def preview(self, delivery: Delivery) -> Preview | Answer:
        """Returns the message as it would be published now."""
        message = self._outgoing(delivery, hops_of(delivery.event.message.headers) + 1)
        return Preview(self._tell(message), message.body, delivery.event.message.content_type)

    async def close(self) -> None:
        """Do nothing: the publisher belongs to the broker's connection."""

    def _outgoing(self, delivery: Delivery, hops: int) -> Outgoing:
        event, message = delivery.event, delivery.event.message
        headers = clean_headers(message.headers)
        if delivery.trace is not None and not self._own_trace:
            headers = {name: headers[name] for name in headers if name not in _TRACE} | delivery.trace.headers
        own_id = message.message_id if self._keeps_id else None
        return Outgoing(
            exchange=self._exchange,
            routing_key=self._routing_key,
            message_id=own_id or event.webhook_id or event.id,
            body=message.body,
            headers=headers | self._settings.headers | {HOPS: hops},
            like=message,
            reply_to=message.reply_to,
            priority=message.priority,
            expiration=message.expiration if self._keeps_expiration else None,
        )

    def _tell(self, message: Outgoing) -> Evidence:
        """Returns the evidence, without the publisher's properties and headers, which are in the history already."""
        own = [(name, str(message.headers[name])) for name in (*self._settings.headers, HOPS)]
        return self._told.sent([("message_id", message.message_id), *own], message.body)

    async def _publish(self, message: Outgoing) -> None:
        if not self._declared:
            await self._publisher.declare(self._routing_key)
            self._declared = True
        await self._publisher.publish(message)

    def _answer_for(self, error: Exception) -> Answer:
        match error:
            case Unroutable():
                self._declared = not (self._settings.declare and self._settings.queue)
                return Answer(fault=Fault.UNROUTABLE, error=f"no queue took it: {self._where()}")
            case PublishTooLarge():
                return Answer(fault=Fault.TOO_LARGE, error=str(error) or "too large", lasting=True)
            case TimeoutError():
                return Answer(fault=Fault.TIMEOUT, error="no confirmation within the time limit")
            case BrokerRefused():
                text = f"the broker refused {self._where()}: {error}"
                return Answer(fault=Fault.NOT_CONFIRMED, error=text)
            case BridgeError():
                return Answer(fault=Fault.NOT_CONFIRMED, error=str(error) or "not confirmed")
            case _:
                return Answer(fault=Fault.BUG, error=f"{type(error).__name__}: {error}")

    def _where(self) -> str:
        if self._settings.queue is not None:
            return f"queue {self._settings.queue!r}"
        return f"exchange {self._exchange!r} with routing key {self._routing_key!r}"


def check_own_headers(settings: Settings) -> None:
    """Raises ValueError for headers of the hook that are invalid in a message or would change its routing."""
    for name in settings.headers:
        if not name or len(name.encode("utf-8", "replace")) > _LONGEST_NAME:
            raise ValueError(f"{name!r}: a header name has 1 to {_LONGEST_NAME} bytes")
        if is_taken(name):
            raise ValueError(f"{name} belongs to the broker or to the bridge and cannot be given")


def check_routing(settings: Settings) -> None:
    """Raises ValueError for a name that is too long for an AMQP short string."""
    for text in (settings.queue, settings.exchange, settings.routing_key):
        if text is not None and len(text.encode("utf-8", "replace")) > _LONGEST_NAME:
            raise ValueError(f"{text[:20]}...: a name has at most {_LONGEST_NAME} bytes in UTF-8")
