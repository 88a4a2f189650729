"""The drill of docs/deploy.md: back up under work, lose the database, restore, and go on; by the commands that stand there."""

import asyncio
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.bridge_process import ROOT
from tests.support.command import amqp_bridge
from tests.support.endpoint import OK, status
from tests.support.postgres import execute
from tests.support.scene import Scene
from tests.support.two_replicas import TOKEN, Asked, Replicas, open_replicas
from tests.support.waiting import until

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
API_HOOK = {
    "name": "made",
    "events": ["none.*"],
    "target": {"type": "webhook", "url": "https://example.org/", "secrets": ["s" * 32]},
}


def documented(beginning: str) -> str:
    """The command of the chapter that begins so."""
    chapter = (ROOT / "docs" / "deploy.md").read_text().partition("## Back up and restore")[2]
    return next(line for line in chapter.splitlines() if line.startswith(beginning))


async def run(command: str, folder: Path, **variables: str) -> None:
    """Run a documented command; it has to succeed."""
    process = await asyncio.create_subprocess_shell(command, cwd=folder, env={**os.environ, **variables})
    assert await process.wait() == 0, command


class SqliteFile:
    """Backs up and restores the file of the one bridge."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'bridge.db'}"
        self._folder = folder

    async def back_up(self) -> None:
        """Write the backup while the bridge runs."""
        await run(documented("python3 -c"), self._folder)

    async def lose(self) -> None:
        """Delete the database and what belongs to it."""
        for file in self._folder.glob("bridge.db*"):
            file.unlink()

    async def restore(self) -> None:
        """Put the backup in its place."""
        (self._folder / "backup.db").rename(self._folder / "bridge.db")


class PostgresDatabase:
    """Backs up and restores a database of the server."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        self._folder = folder

    async def back_up(self) -> None:
        """Write the backup while the bridge runs."""
        await run(documented("pg_dump"), self._folder, BRIDGE_STORAGE__URL=self.url)

    async def lose(self) -> None:
        """Drop all tables."""
        await execute(self.url, "drop schema public cascade; create schema public")

    async def restore(self) -> None:
        """Fill the empty database."""
        await run(documented("pg_restore"), self._folder, BRIDGE_STORAGE__URL=self.url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> SqliteFile | PostgresDatabase:
    if request.param == "sqlite":
        return SqliteFile(tmp_path)
    return PostgresDatabase(tmp_path, request.getfixturevalue("postgres_url"))


NAMES = {"SUCCESS": "ok", "PENDING": "waiting", "RETRYING": "waiting"}


async def counts(asked: Asked, hook: str) -> Mapping[str, int]:
    """How many deliveries of the hook are `ok` and `waiting`, as the API has them."""
    page = await asked.get(f"/deliveries?hook={hook}&limit=200")
    return Counter(NAMES[each["status"]] for each in page["items"])


async def are(replicas: Replicas, **wanted: Mapping[str, int]) -> None:
    """Return as soon as the hooks have so many deliveries."""

    async def so() -> bool:
        return {hook: await counts(replicas.asked[0], hook) for hook in wanted} == wanted

    await until(so, 40, what=replicas.last_words)


@pytest.mark.timeout(120)
async def test_a_restored_history_goes_on_with_all_that_waits(
    scene: Scene, database: SqliteFile | PostgresDatabase
):
    """`crm` is well, `erp` fails until after the backup, `late` is paused: 50 events before the backup, 30 after, 20 in the outage."""
    source = await scene.queue()
    scene.endpoint.script("/erp", status(503))
    hooks = [
        scene.webhook("crm"),
        scene.webhook("erp", retry={"schedule": ["1s"] * 60}),
        scene.webhook("late", paused=True),
    ]
    storage = {"url": database.url, "encryption_keys": [KEY]}
    async with open_replicas(scene, database.url, hooks, source, count=1, storage=storage) as replicas:
        bridge, api = replicas.bridges[0], replicas.asked[0]
        await replicas.start()
        await api.make(API_HOOK)
        await scene.queues.publish(source, [b"%d" % number for number in range(50)])
        await are(replicas, crm={"ok": 50}, erp={"waiting": 50}, late={"waiting": 50})
        await database.back_up()

        scene.endpoint.script("/erp", OK)
        await scene.queues.publish(source, [b"%d" % number for number in range(50, 80)])
        await are(replicas, crm={"ok": 80}, erp={"ok": 80}, late={"waiting": 80})
        await bridge.kill()
        await database.lose()
        await scene.queues.publish(source, [b"%d" % number for number in range(80, 100)])
        await database.restore()

        await replicas.start()
        # What ended since the backup is shown as waiting, and has no copy any more; what is new goes on.
        await are(replicas, crm={"ok": 70}, erp={"ok": 20, "waiting": 50}, late={"waiting": 70})
        assert (await api.get("/hooks/made"))["target"]["url"] == API_HOOK["target"]["url"]  # type: ignore[index]
        assert (await api.ask("POST", "/hooks/late/resume"))[0] == 200
        await are(replicas, late={"ok": 100})
        await replay_what_ended_since(bridge.url, scene.folder)
        await are(replicas, crm={"ok": 70}, erp={"ok": 70})
    everything = {b"%d" % number for number in range(100)}
    assert all(set(scene.endpoint.bodies(path)) == everything for path in ("/crm", "/erp", "/late"))


async def replay_what_ended_since(url: str, folder: Path) -> None:
    """Deliver again, by the documented command, what the backup shows as waiting."""
    arguments = ("replay", "--status", "PENDING", "--status", "RETRYING", "--hook", "erp")
    env = {"BRIDGE_URL": url, "BRIDGE_TOKEN": TOKEN}
    ended = await asyncio.to_thread(amqp_bridge, *arguments, cwd=folder, env=env)
    assert ended.code == 0, ended.err
