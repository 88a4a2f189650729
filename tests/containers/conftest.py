"""An engine, the product's image, and a broker in a container, shared by the tests of this folder."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from testcontainers.community.rabbitmq import RabbitMqContainer
from testcontainers.core.network import Network

from devtools.containers.engine import Engine
from devtools.containers.product import build_product
from devtools.containers.programs import CannotRun
from devtools.containers.servers import RABBITMQ
from devtools.containers.session import engine_of_session
from tests.support.bridge_container import Surroundings

LONGEST = 300
"""Seconds for one test, with what it waits for the first time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(LONGEST))


@pytest.fixture(scope="session")
def engine() -> Engine:
    try:
        return engine_of_session()
    except CannotRun as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def image(engine: Engine) -> str:
    """The image of this checkout; a fault in its Dockerfile fails every test of it."""
    return build_product(engine)


@pytest.fixture(scope="session")
def network(engine: Engine) -> Iterator[Network]:
    with Network() as made:
        yield made


# It tells of each attempt to connect, which are many while the broker starts.
logging.getLogger("pika").setLevel(logging.CRITICAL)


@pytest.fixture(scope="session")
def broker(network: Network) -> Iterator[RabbitMqContainer]:
    container = RabbitMqContainer(RABBITMQ).with_network(network).with_network_aliases("broker")
    with container as started:
        yield started


@pytest.fixture
def surroundings(
    engine: Engine, image: str, network: Network, broker: RabbitMqContainer, tmp_path: Path
) -> Iterator[Surroundings]:
    """Where a test starts bridges, receivers and clients; all are gone at its end."""
    made = Surroundings(engine, image, network.name, tmp_path)
    try:
        yield made
    finally:
        made.remove()
