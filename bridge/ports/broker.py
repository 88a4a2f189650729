"""What the pipeline and the targets ask of the message broker."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from bridge.model.delivery import Delivery
from bridge.model.event import Message


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish; always persistent, mandatory and confirmed."""

    exchange: str
    routing_key: str
    message_id: str
    body: bytes
    headers: Mapping[str, Any]
    like: Message
    """Content type, encoding, type, correlation id, app id and timestamp are taken from here."""
    reply_to: str | None = None
    priority: int | None = None
    expiration: str | None = None
    """These three only where they are given: a copy of ours must not be answered, overtake others or vanish."""


class Publisher(Protocol):
    """Confirmed publishing."""

    async def publish(self, message: Outgoing) -> None:
        """Return once the broker confirmed that a queue holds it.

        Raises Unroutable, PublishTooLarge, BrokerRefused, or PublishFailed (which includes no answer in time).
        """
        ...

    async def declare(self, queue: str) -> None:
        """Make sure that a durable queue without arguments exists, by the rules for sources."""
        ...


class Copies(Protocol):
    """A hook's lane and the ladder: where a delivery waits on the broker."""

    async def park(self, delivery: Delivery) -> None:
        """Put a copy at the end of the hook's lane; returns once it is confirmed, else raises PublishFailed."""
        ...

    async def delay(self, delivery: Delivery, seconds: float) -> None:
        """Put a copy on the ladder so that it reaches the lane at `delivery.not_before`, `seconds` from now."""
        ...

    async def set_aside(self, orphan: Message) -> None:
        """Put a copy of an unknown hook at the end of the queue of orphans; raises as `park` does."""
        ...


class Ticket(Protocol):
    """The right to settle one broker message, once."""

    @property
    def valid(self) -> bool:
        """False once the channel is gone: the broker will redeliver, and settling does nothing."""
        ...

    def grow(self, octets: int) -> None:
        """So many bytes of memory more are held for the message."""
        ...

    def let_go(self) -> None:
        """The message is held no more, whoever still has this; finishing it and giving it back do that, too."""
        ...

    def finish(self) -> None:
        """All that the message carried has a committed fate; acked with the next flush of its channel."""
        ...

    def give_back(self) -> None:
        """Nothing of it was started: the broker may hand it to another consumer."""
        ...


Receive = Callable[[Message, Ticket], None]
"""Called for each message on the event loop; must not block and must not raise."""
