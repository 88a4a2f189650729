"""All that a test of a running bridge needs: a broker, an endpoint, names of its own, and bridges."""

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.bridge_process import BridgeProcess, owned
from tests.support.endpoint import Endpoint, open_endpoint
from tests.support.queues import Queues, open_queues

Hook = Mapping[str, Any]


@dataclass
class Scene:
    """One test's part of the broker, its folder and its endpoint."""

    amqp_url: str
    folder: Path
    endpoint: Endpoint
    queues: Queues
    token: str = field(default_factory=lambda: secrets.token_hex(4))
    made: list[str] = field(default_factory=list)

    @property
    def prefix(self) -> str:
        """The bridge's prefix on the broker."""
        return f"test-{self.token}"

    def lane(self, hook: str) -> str:
        """The name of a hook's lane."""
        return f"{self.prefix}.lane.{hook}"

    async def queue(
        self, name: str = "source", *, declare: bool = True, arguments: Mapping[str, Any] | None = None
    ) -> str:
        """A queue of the test's own, deleted at the end."""
        whole = f"{name} {self.token}"
        if declare:
            await self.queues.declare(whole, arguments)
        self.made.append(whole)
        return whole

    def webhook(self, name: str, **fields: Any) -> dict[str, Any]:
        """A hook to the endpoint's path `/name`; fields of the target have names with `target_`."""
        target = {
            name.removeprefix("target_"): fields.pop(name)
            for name in list(fields)
            if name.startswith("target_")
        }
        whole = {"type": "webhook", "url": self.endpoint.url(f"/{name}"), "profile": "none", **target}
        return {"name": name, **fields, "target": whole}

    def settings(
        self,
        hooks: Sequence[Hook],
        sources: Sequence[Hook] | str,
        *,
        amqp_url: str = "",
        **sections: Mapping[str, Any],
    ) -> dict[str, Any]:
        """A whole configuration; `sources` may be the name of one queue."""
        if isinstance(sources, str):
            sources = [{"name": "main", "queue": sources}]
        defaults: dict[str, dict[str, Any]] = {
            "broker": {"url": amqp_url or self.amqp_url, "prefix": self.prefix},
            "storage": {"url": f"sqlite:///{self.folder / 'bridge.db'}"},
            "http": {"listen": "127.0.0.1:0", "allow_private_targets": ["127.0.0.0/8"]},
            "log": {"format": "json"},
        }
        for name, section in sections.items():
            defaults[name] = {**defaults.get(name, {}), **section}
        self.made += [self.lane(hook["name"]) for hook in hooks]
        return {**defaults, "sources": list(sources), "hooks": list(hooks)}

    @asynccontextmanager
    async def bridge(self, *arguments: Any, **sections: Any) -> AsyncIterator[BridgeProcess]:
        """A bridge that serves, and that has to end in order with SIGTERM if it still runs at the end."""
        async with self.prepared(*arguments, **sections) as bridge:
            await bridge.start()
            yield bridge
            if bridge.alive:
                await bridge.stop()

    @asynccontextmanager
    async def prepared(self, *arguments: Any, **sections: Any) -> AsyncIterator[BridgeProcess]:
        """A bridge that was not started yet."""
        async with owned(BridgeProcess(self.folder, self.settings(*arguments, **sections))) as bridge:
            yield bridge

    async def tidy(self) -> None:
        """Remove from the broker what the test made there."""
        await self.queues.delete(*self.made)
        await self.queues.remove_bridge(self.prefix)


@asynccontextmanager
async def open_scene(amqp_url: str, folder: Path) -> AsyncIterator[Scene]:
    """A scene on this broker."""
    async with open_endpoint() as endpoint, open_queues(amqp_url) as queues:
        scene = Scene(amqp_url, folder, endpoint, queues)
        yield scene
        await scene.tidy()


@pytest.fixture
async def scene(amqp_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    """A scene on the shared broker."""
    async with open_scene(amqp_url, tmp_path) as opened:
        yield opened
