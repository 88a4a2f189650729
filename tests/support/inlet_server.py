"""Inlets on a server of their own, in the process of the test."""

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry

from bridge.amqp.connection import Link
from bridge.amqp.fail_fast import PromptPublisher
from bridge.amqp.kinds import SourceQueues
from bridge.amqp.publisher import ConfirmedPublisher
from bridge.amqp.topology import Names, Topology
from bridge.core.event import Source
from bridge.core.inlet import Inlet
from bridge.core.ports import Outgoing, Publisher
from bridge.http.health import Health
from bridge.http.server import HttpServer
from bridge.inlets.message import Room
from bridge.inlets.receive import Inlets
from bridge.settings.tree import Http
from bridge.telemetry.metrics import Metrics
from tests.support.inlets import Sender, sender_to


class Kept:
    """A publisher whose messages can be looked at; `fault` is raised in place of keeping one."""

    def __init__(self) -> None:
        self.messages: list[Outgoing] = []
        self.fault: BaseException | None = None

    async def publish(self, message: Outgoing) -> None:
        if self.fault is not None:
            raise self.fault
        self.messages.append(message)

    async def declare(self, queue: str) -> None:
        raise AssertionError(queue)


@dataclass
class Served:
    """The inlets, who sends to them, and what they count."""

    inlets: Inlets
    sender: Sender
    registry: CollectorRegistry
    room: Room

    def counted(self, inlet: str, answer: str) -> float:
        """The metric."""
        labels = {"inlet": inlet, "answer": answer}
        return self.registry.get_sample_value("bridge_inlet_requests_total", labels) or 0


@asynccontextmanager
async def serving(
    inlets: Sequence[Mapping[str, Any]],
    publisher: Publisher,
    queue: str = "hooks2",
    room: Room | None = None,
    **more: Any,
) -> AsyncIterator[Served]:
    """These inlets, whose source is `main` unless they say otherwise."""
    registry = CollectorRegistry()
    room = room or Room()
    made = Inlets(
        [Inlet.model_validate({"source": "main"} | dict(inlet)) for inlet in inlets],
        [Source(name="main", queue=queue)],
        publisher,
        metrics=Metrics(registry),
        new_id=lambda: str(uuid.uuid4()),
        room=room,
        **({"most_body": 2**27} | more),
    )
    server = HttpServer(Http(listen="127.0.0.1:0"), Health(dict), registry, inlets=made.routes())
    await server.start()
    try:
        async with sender_to(server.addresses["http"]) as sender:
            yield Served(made, sender, registry, room)
    finally:
        await server.stop()


@asynccontextmanager
async def prompt(link: Link) -> AsyncIterator[PromptPublisher]:
    """A publisher for inlets on this connection."""
    both = ConfirmedPublisher(link), ConfirmedPublisher(link)
    yield PromptPublisher(link, *both, prepare=SourceQueues(link, Topology(link, Names())).prepare)
    for publisher in both:
        await publisher.close()
