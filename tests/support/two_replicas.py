"""Bridges as operators run several of them: processes of their own on one broker and one PostgreSQL, asked over HTTP."""

import json
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from tests.support.bridge_process import BridgeProcess, owned
from tests.support.scene import Scene
from tests.support.waiting import until

TOKEN = secrets.token_hex(16)


class Asked:
    """One bridge's API."""

    def __init__(self, bridge: BridgeProcess) -> None:
        self.bridge = bridge

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and body of what it answers below /api/v1."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, f"{self.bridge.url}/api/v1{path}", json=body) as response,
        ):
            text = await response.text()
            return response.status, json.loads(text) if text else None

    async def get(self, path: str) -> Any:
        """What stands there."""
        status, body = await self.ask("GET", path)
        assert status == 200, body
        return body

    async def make(self, hook: Mapping[str, Any]) -> str:
        """The id of a hook made so."""
        status, made = await self.ask("POST", "/hooks", hook)
        assert status == 201, made
        found: str = made["id"]
        return found


@dataclass
class Database:
    """The history as PostgreSQL holds it, read past the bridges."""

    url: str

    async def rows(self, statement: str, *parameters: Any) -> list[Any]:
        """What a query gives."""
        connection = await asyncpg.connect(self.url)
        try:
            return [tuple(row) for row in await connection.fetch(statement, *parameters)]
        finally:
            await connection.close()

    async def run(self, statement: str) -> None:
        """Have it executed."""
        await self.rows(statement)

    async def reasons(self, hook: str) -> Counter[tuple[str, str]]:
        """How many deliveries of the hook have which status and reason."""
        found = await self.rows("SELECT status, reason FROM deliveries WHERE hook = $1", hook)
        return Counter(found)

    async def statuses(self, hook: str) -> Counter[str]:
        """How many deliveries of the hook have which status."""
        return Counter(
            status for (status,) in await self.rows("SELECT status FROM deliveries WHERE hook = $1", hook)
        )


@dataclass
class Replicas:
    """Bridges that share everything but their folders."""

    scene: Scene
    database: Database
    bridges: list[BridgeProcess] = field(default_factory=list)

    @property
    def asked(self) -> list[Asked]:
        """Their APIs."""
        return [Asked(bridge) for bridge in self.bridges]

    async def start(self, *targets: str) -> None:
        """Start all that do not run; `targets` has what each serves, none: all."""
        for number, bridge in enumerate(self.bridges):
            if not bridge.alive:
                await bridge.start(*(("--targets", targets[number]) if targets else ()))
        await until(self._see_each_other, what=self.last_words)

    async def _see_each_other(self) -> bool:
        seen = await self.asked[0].get("/replicas")
        return len(seen["items"]) >= sum(bridge.alive for bridge in self.bridges)

    def last_words(self) -> str:
        """The ends of their logs."""
        return "\n----\n".join(bridge.last_words() for bridge in self.bridges if bridge.starts)

    async def lane(self, hook: str) -> int | None:
        """Messages ready in the hook's lane, None where there is none."""
        return await self.scene.queues.depth(self.scene.lane(hook))


@asynccontextmanager
async def open_replicas(
    scene: Scene,
    url: str,
    hooks: Sequence[Mapping[str, Any]],
    sources: Any,
    *,
    count: int = 2,
    **sections: Any,
) -> AsyncIterator[Replicas]:
    """So many bridges, not started yet; `url`: an empty database on PostgreSQL."""
    http = {"admin_token": TOKEN, **sections.pop("http", {})}
    settings = scene.settings(hooks, sources, http=http, **{"storage": {"url": url}, **sections})
    replicas = Replicas(scene, Database(url))
    async with AsyncExitStack() as stack:
        for number in range(count):
            folder = Path(scene.folder) / f"replica-{number}"
            folder.mkdir()
            replicas.bridges.append(await stack.enter_async_context(owned(BridgeProcess(folder, settings))))
        yield replicas
        for bridge in replicas.bridges:
            if bridge.alive:
                await bridge.stop()
