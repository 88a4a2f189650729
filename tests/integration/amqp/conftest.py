"""A queue for tests of receiving."""

import pytest

from bridge.amqp.topology import Names, Topology
from tests.support.links import unique


@pytest.fixture
async def queue(link):
    queue = unique("received")
    await Topology(link, Names()).declare_source(queue)
    yield queue
    async with link.channel() as channel:
        await channel.queue_delete(queue)
