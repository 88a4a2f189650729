"""Links of the bridge's own kind for tests that talk to a broker through bridge.amqp."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiormq.abc import AbstractChannel

from bridge.amqp.connection import Address, Link


class Heard:
    """Remembers what happened to connections."""

    def __init__(self) -> None:
        self.connects = 0
        self.losses: list[str] = []

    def connected(self, role: str, address: str) -> None:
        self.connects += 1

    def lost(self, role: str, error: str) -> None:
        self.losses.append(error)


@asynccontextmanager
async def running_link(url: str, heard: Heard | None = None) -> AsyncIterator[Link]:
    """A supervised connection that ends with the block."""
    link = Link("test", Address([url]), heard or Heard())
    supervisor = asyncio.create_task(link.run())
    try:
        async with asyncio.timeout(30):
            await link.connection()
        yield link
    finally:
        supervisor.cancel()
        await asyncio.gather(supervisor, return_exceptions=True)


@asynccontextmanager
async def raw_channel(link: Link, *, confirms: bool = False) -> AsyncIterator[AbstractChannel]:
    """A channel that speaks AMQP method by method."""
    async with link.channel(confirms=confirms) as channel:
        yield await channel.get_underlay_channel()


def unique(name: str) -> str:
    """A name that no other test uses: the broker is shared."""
    return f"{name}-{uuid.uuid4().hex[:12]}"
