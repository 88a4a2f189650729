"""The in-memory twin of the broker's confirmed publisher."""

import asyncio

from bridge.core.errors import Unroutable
from bridge.core.ports import Outgoing


class MemoryPublisher:
    """Keeps what is published by queue, like a broker with only the default exchange.

    `failing` is raised in place of a confirmation; while `open` is cleared, confirmations do not come.
    """

    def __init__(self, *queues: str) -> None:
        self.queues: dict[str, list[Outgoing]] = {queue: [] for queue in queues}
        self.failing: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.under_way: list[str] = []
        self.declared: list[str] = []

    async def publish(self, message: Outgoing) -> None:
        """Confirm, or raise as the port says."""
        assert message.message_id not in self.under_way, "two messages with one id at once"
        self.under_way.append(message.message_id)
        try:
            await self.open.wait()
        finally:
            self.under_way.remove(message.message_id)
        if self.failing is not None:
            raise self.failing
        if message.exchange or message.routing_key not in self.queues:
            raise Unroutable(f"no queue {message.routing_key!r}")
        self.queues[message.routing_key].append(message)

    async def declare(self, queue: str) -> None:
        """Make the queue if it is missing."""
        self.declared.append(queue)
        self.queues.setdefault(queue, [])
