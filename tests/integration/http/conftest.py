"""A queue that nobody consumes."""

import pytest

from tests.support.links import unique
from tests.support.queues import open_queues


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
