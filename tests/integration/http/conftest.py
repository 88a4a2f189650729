"""A queue that nobody consumes, and an empty history."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.history.history import SqlHistory, open_history
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


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[SqlHistory]:
    opened = await open_history(f"sqlite:///{tmp_path}/bridge.db")
    yield opened
    await opened.close()
