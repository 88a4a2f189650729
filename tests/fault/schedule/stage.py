"""All that a run harms and all that it watches: nodes, proxies before them, bridges, endpoints, the database."""

import asyncio
import contextlib
import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import aiormq
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from devtools.rabbitmq import RabbitMQNode
from tests.fault.schedule.endpoints import MANNERS, REFUSED, CountingEndpoint
from tests.fault.schedule.publisher import Publisher
from tests.support.bridge_process import BridgeProcess, owned
from tests.support.ledger import Books, Copy, Row
from tests.support.proxy import Proxy, open_proxy
from tests.support.queues import STEPS, open_queues
from tests.support.two_replicas import Database

PREFETCH = 100
CONCURRENCY = 16
RETRY = {"schedule": ["1s", "2s", "5s"], "max_attempts": 1000, "jitter": 0.3}
ROWS = "SELECT publisher_id, hook, d.id, status FROM deliveries d JOIN events e ON e.id = d.event_id"
QUARANTINED = "SELECT properties, headers FROM quarantine"


@dataclass
class Stage:
    """One run's own part of the world."""

    nodes: Sequence[RabbitMQNode]
    proxies: Sequence[Proxy]
    endpoints: dict[str, CountingEndpoint]
    publisher: Publisher
    prefix: str
    source: str
    folder: Path
    database_url: str | None
    bridges: list[BridgeProcess] = field(default_factory=list)

    @property
    def hooks(self) -> list[str]:
        """The names of the hooks."""
        return list(self.endpoints)

    @property
    def stores(self) -> list[str]:
        """Queues of the bridge in which nothing may be found."""
        return [f"{self.prefix}.{name}" for name in ("orphans", "dead")]

    @property
    def waiting_rooms(self) -> list[str]:
        """Lanes and ladder."""
        lanes = [f"{self.prefix}.lane.{hook}" for hook in self.hooks]
        return lanes + [f"{self.prefix}.delay.{step}" for step in STEPS]

    def settings(self) -> dict[str, Any]:
        """The configuration of each bridge."""
        storage = self.database_url or f"sqlite:///{self.folder / 'bridge.db'}"
        urls = [f"amqp://guest:guest@127.0.0.1:{proxy.port}/" for proxy in self.proxies]
        return {
            "broker": {"url": urls, "prefix": self.prefix, "heartbeat": "4s", "connect_timeout": "3s"},
            "storage": {"url": storage},
            "http": {"listen": "127.0.0.1:0", "allow_private_targets": ["127.0.0.0/8"]},
            "log": {"format": "json"},
            "sources": [{"name": "main", "queue": self.source, "prefetch": PREFETCH}],
            "hooks": [self._hook(name, endpoint) for name, endpoint in self.endpoints.items()],
        }

    @staticmethod
    def _hook(name: str, endpoint: CountingEndpoint) -> dict[str, Any]:
        target = {"type": "webhook", "url": endpoint.url("/"), "profile": "none", "timeout": "5s"}
        return {
            "name": name,
            "concurrency": CONCURRENCY,
            "retry": RETRY,
            "target": {**target, "final": [REFUSED]},
        }

    # ---- at rest --------------------------------------------------------------------------------------

    async def rows(self, statement: str) -> list[Any]:
        """What a query of the history gives."""
        if self.database_url:
            return await Database(self.database_url).rows(statement)
        return await asyncio.to_thread(self.bridges[0].history.rows, statement)

    async def unfinished(self) -> int:
        """Deliveries without an end in the history."""
        found = await self.rows("SELECT count(*) FROM deliveries WHERE status IN ('PENDING', 'RETRYING')")
        return int(found[0][0])

    async def depths(self) -> dict[str, int]:
        """Messages ready in each queue, as the broker says."""
        async with open_queues(self.nodes[0].url) as queues:
            names = [self.source, *self.waiting_rooms, *self.stores]
            return {name: await queues.depth(name) or 0 for name in names}

    async def books(self) -> Books:
        """All there is to know; for when no bridge runs."""
        rows = [Row(str(found[0]), found[1], str(found[2]), found[3]) for found in await self.rows(ROWS)]
        kept = await self.rows(QUARANTINED)
        seen = {name: await self._look(name) for name in (self.source, *self.waiting_rooms, *self.stores)}
        at_source = seen.pop(self.source)
        return Books(
            hooks=self.hooks,
            sent=self.publisher.sent,
            answered={name: endpoint.answered for name, endpoint in self.endpoints.items()},
            rows=rows,
            quarantined=Counter(publisher_id for entry in kept for publisher_id in of_source(*entry)),
            at_source=Counter(str(message.header.properties.message_id) for message in at_source),
            copies=[copy_of(name, message) for name, messages in seen.items() for message in messages],
            stores=frozenset(self.stores),
            counts=await self.depths(),
            source=self.source,
        )

    async def tidy(self) -> None:
        """Remove what this run made, for a broker that is used again."""
        async with open_queues(self.nodes[0].url) as queues:
            await queues.delete(self.source, *self.waiting_rooms)
            await queues.remove_bridge(self.prefix)

    async def _look(self, queue: str) -> list[DeliveredMessage]:
        """All that is ready in the queue; it goes back when the channel closes."""
        found: list[DeliveredMessage] = []
        connection = await aiormq.connect(self.nodes[0].url)
        try:
            channel = await connection.channel()
            while True:
                message = await channel.basic_get(queue)
                if isinstance(message.delivery, Basic.GetEmpty):
                    return found
                found.append(message)
        except aiormq.exceptions.ChannelNotFoundEntity:
            return found
        finally:
            await connection.close()


def copy_of(queue: str, message: DeliveredMessage) -> Copy:
    """What a message of the bridge's own says of itself."""
    headers = message.header.properties.headers or {}

    def text(name: str) -> str:
        return str(headers.get(f"x-bridge-{name}", ""))

    return Copy(queue, text("hook"), text("delivery"), text("publisher-id"))


def of_source(properties: str | None, headers: str | None) -> list[str]:
    """The publisher's id of a message in quarantine; a copy's delivery stands in the history as failed by itself."""
    if "x-bridge-delivery" in json.loads(headers or "{}"):
        return []
    return [str(json.loads(properties or "{}").get("message_id"))]


@asynccontextmanager
async def open_stage(
    nodes: Sequence[RabbitMQNode],
    folder: Path,
    *,
    seed: int,
    hooks: int,
    database_url: str | None = None,
    replicas: int = 1,
) -> AsyncIterator[Stage]:
    """A stage whose bridges are not started yet. More than one replica needs a database URL."""
    token = secrets.token_hex(4)
    source = f"soak-{token}"
    async with AsyncExitStack() as stack:
        ports = [int(urlsplit(node.url).port or 0) for node in nodes]
        proxies = [await stack.enter_async_context(open_proxy(port)) for port in ports]
        endpoints = {}
        for number in range(hooks):
            manner = MANNERS[number % len(MANNERS)]
            endpoint = CountingEndpoint(manner, Random(f"{seed} endpoint {number}"))
            await endpoint.open()
            stack.push_async_callback(endpoint.close)
            endpoints[f"{manner}-{number + 1}"] = endpoint
        arguments = {"x-queue-type": "quorum"} if len(nodes) > 1 else {}
        publisher = Publisher([node.url for node in nodes], source, arguments, f"soak-{seed}")
        stack.push_async_callback(publisher.close)
        await publisher.declare()
        stage = Stage(nodes, proxies, endpoints, publisher, f"soak-{token}", source, folder, database_url)
        for number in range(replicas):
            own = folder / f"bridge-{number + 1}"
            own.mkdir()
            stage.bridges.append(await stack.enter_async_context(owned(bridge_of(stage, own))))
        yield stage
        for bridge in stage.bridges:
            if bridge.alive:
                with contextlib.suppress(AssertionError):
                    await bridge.stop()


def bridge_of(stage: Stage, folder: Path) -> BridgeProcess:
    """A bridge whose log and configuration lie in a folder of its own."""
    bridge = BridgeProcess(folder, stage.settings())
    bridge.history.file = stage.folder / "bridge.db"
    return bridge
