"""Brokers for tests. A test that harms its broker starts one of its own with RabbitMQNode.start()."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools.checks.session import AMQP_VARIABLE, FOLDER_VARIABLE
from devtools.choice.broker import Broker, open_broker
from devtools.project import SetupError
from devtools.rabbitmq import NodeControl


@pytest.fixture(scope="session")
def shared_broker() -> Iterator[Broker]:
    """The broker of this test session: that of `./dev test`, else one chosen in the same way."""
    if url := os.environ.get(AMQP_VARIABLE):
        folder = os.environ.get(FOLDER_VARIABLE)
        yield Broker(url, Path(folder) if folder else None)
        return
    try:
        with open_broker() as broker:
            yield broker
    except SetupError as error:
        pytest.fail(str(error))


@pytest.fixture(scope="session")
def amqp_url(shared_broker: Broker) -> str:
    """The shared broker's URL. Objects on it need names of their own: tests share it."""
    return shared_broker.url


@pytest.fixture(scope="session")
def broker_control(shared_broker: Broker) -> NodeControl:
    """rabbitmqctl on the shared broker, for what AMQP cannot do (virtual hosts, policies, users)."""
    if shared_broker.folder is None:
        pytest.skip("the broker is a given one or in a container: it cannot be controlled")
    return NodeControl.of(shared_broker.folder)
