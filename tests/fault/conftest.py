"""A broker of the fault tests' own, which they may harm."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from devtools.rabbitmq import RabbitMQNode
from devtools.rabbitmq_cluster import RabbitMQCluster
from tests.support.scene import Scene, open_scene


@pytest.fixture(scope="session")
def node() -> Iterator[RabbitMQNode]:
    """A node that is up and well before and after each test; what happens in between is the test's affair."""
    with RabbitMQNode.start() as started:
        yield started


@pytest.fixture(scope="session")
def cluster() -> Iterator[RabbitMQCluster]:
    """Three nodes, all up between tests: a test that harms one ends with `cluster.restart()`, which leaves the well alone."""
    with RabbitMQCluster.start(3) as started:
        yield started


@pytest.fixture
async def harmed(node: RabbitMQNode, tmp_path: Path) -> AsyncIterator[Scene]:
    """A scene on that node."""
    async with open_scene(node.url, tmp_path) as scene:
        yield scene
