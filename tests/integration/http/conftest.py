"""A connection and a queue that nobody consumes."""

import pytest

from tests.support.links import running_link, unique
from tests.support.queues import open_queues


@pytest.fixture
async def link(amqp_url):
    async with running_link(amqp_url) as link:
        yield link


@pytest.fixture
async def queues(amqp_url):
    async with open_queues(amqp_url) as queues:
        yield queues


@pytest.fixture
async def queue(queues):
    name = unique("inlet")
    await queues.declare(name)
    yield name
    await queues.delete(name)
