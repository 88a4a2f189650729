"""One running bridge for all tests of a module: commands leave it as it was, or use hooks of their own."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.bridge_process import BridgeProcess
from tests.support.remote_cli import Commands
from tests.support.scene import Scene, open_scene

TOKEN = "cli-Geheimnis-5531-lang"


@dataclass
class Operated:
    """A bridge with the queues of its sources `main` and `strict`, what surrounds it, and commands for it."""

    scene: Scene
    bridge: BridgeProcess
    run: Commands
    source: str
    strict: str

    def hook_file(self, name: str, text: str) -> str:
        """A file with this text."""
        path: Path = self.scene.folder / name
        path.write_text(text)
        return str(path)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def operated(amqp_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Operated]:
    """A bridge with one source, and the hooks `crm` and `held` of its file."""
    async with open_scene(amqp_url, tmp_path_factory.mktemp("cli")) as scene:
        source, strict = await scene.queue(), await scene.queue("strict")
        sources = [
            {"name": "main", "queue": source},
            {"name": "strict", "queue": strict, "schema": "splynx"},
        ]
        retry = {"schedule": ["50ms"], "max_attempts": 2}
        hooks = [
            scene.webhook("crm", events=["crm.*"], retry=retry),
            scene.webhook("held", events=["held.*"], paused=True),
        ]
        async with scene.bridge(hooks, sources, http={"admin_token": TOKEN}) as bridge:
            yield Operated(scene, bridge, Commands(bridge.url, TOKEN), source, strict)
