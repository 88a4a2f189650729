"""Which broker a command uses: the given one, else a private node, a container, an installed one."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from devtools.choice import container, packages
from devtools.nodes.handshake import HandshakeError, shake_hands
from devtools.nodes.rabbitmq_install import Installation, find_rabbitmq
from devtools.project import SetupError, say
from devtools.rabbitmq import NodeError, RabbitMQNode

URL_VARIABLES = ("BRIDGE_BROKER__URL", "AMQP_URL")
NO_BROKER = """\
no broker: none is given, none is installed, no container engine answers, and none could be installed.
Any one of these helps:
  - set BRIDGE_BROKER__URL (or AMQP_URL) to a broker that may be used, amqp://user:password@host/vhost
  - install RabbitMQ: apt-get install rabbitmq-server, or brew install rabbitmq
  - start a container engine (docker or podman)"""


@dataclass(frozen=True)
class Broker:
    """A broker that lets clients in; the folder is there for a private node only (see NodeControl.of).

    A given one is the user's: others may work on it, and it goes on without us.
    """

    url: str
    folder: Path | None = None
    management_url: str | None = None
    given: bool = False


@contextmanager
def open_broker(
    environment: Mapping[str, str] = os.environ, *, plugins: Sequence[str] = (), config: Sequence[str] = ()
) -> Iterator[Broker]:
    """The first broker that works. What was started for it is gone at the end."""
    if variable := next((name for name in URL_VARIABLES if environment.get(name)), None):
        yield given(variable, environment[variable])
    elif found := find_rabbitmq():
        with private_node(found, plugins, config) as broker:
            yield broker
    elif engine := container.find_engine():
        with in_container(engine) as broker:
            yield broker
    elif packages.install(apt="rabbitmq-server", brew="rabbitmq") and (found := find_rabbitmq()):
        with private_node(found, plugins, config) as broker:
            yield broker
    else:
        raise SetupError(NO_BROKER)


def given(variable: str, url: str) -> Broker:
    """The broker that the user named. A dead one is an error: falling back would hide it."""
    try:
        greeting = shake_hands(url)
    except HandshakeError as error:
        raise SetupError(f"the broker that {variable} names does not let us in: {error}") from error
    say("broker", f"{greeting.product} {greeting.version} at {urlsplit(url).hostname}, as {variable} says")
    return Broker(url, given=True)


@contextmanager
def private_node(found: Installation, plugins: Sequence[str], config: Sequence[str]) -> Iterator[Broker]:
    """A node of our own from the installed programs."""
    say("broker", f"starting a private node of RabbitMQ {found.version()} from {found.scripts}")
    try:
        node = RabbitMQNode.start(installation=found, plugins=plugins, config=config)
    except NodeError as error:
        raise SetupError(f"the private node did not start: {error}") from error
    with node:
        say("broker", f"private node at {node.url}")
        yield Broker(node.url, node.folder, node.management_url)


@contextmanager
def in_container(engine: str) -> Iterator[Broker]:
    """A broker in a container."""
    say("broker", f"starting {container.IMAGE} with {engine}")
    try:
        with container.rabbitmq_container(engine) as url:
            say("broker", f"container at {url}")
            yield Broker(url)
    except container.ContainerError as error:
        raise SetupError(f"the container did not start: {error}") from error
