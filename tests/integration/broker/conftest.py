"""A connection and a queue for tests of receiving."""

import pytest

from bridge.broker.topology import Names, Topology
from tests.support.links import running_link, unique


@pytest.fixture
async def link(amqp_url):
    async with running_link(amqp_url) as link:
        yield link


@pytest.fixture
async def queue(link):
    queue = unique("received")
    await Topology(link, Names()).declare_source(queue)
    yield queue
    async with link.channel() as channel:
        await channel.queue_delete(queue)
