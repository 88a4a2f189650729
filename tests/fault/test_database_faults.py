"""The database is locked, gone, silent, or refuses a row: nothing is settled that is not recorded."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import asyncpg
import pytest

from devtools.postgres import PostgresServer, ServerError
from tests.support.bridge_process import BridgeProcess, owned
from tests.support.endpoint import OK, slow, status
from tests.support.proxy import open_proxy
from tests.support.scene import Scene
from tests.support.waiting import until

EVENTS = [b"%d" % number for number in range(200)]
PREFETCH = 50


async def database_is(bridge: BridgeProcess, word: str) -> bool:
    return bool((await bridge.health())[1]["database"] == word)


async def settled(bridge: BridgeProcess, count: int) -> bool:
    return await bridge.metric("events_settled_total", result="acked") == count


def one_source(queue: str) -> list[dict[str, Any]]:
    return [{"name": "main", "queue": queue, "prefetch": PREFETCH}]


# ---- SQLite -----------------------------------------------------------------------------------------------


async def test_while_the_file_is_locked_nothing_is_settled_and_nothing_repeated(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", slow(0.2))
    hooks = [scene.webhook("crm", concurrency=2)]
    async with scene.bridge(hooks, one_source(source), storage={"outage_after": "1s"}) as bridge:
        with bridge.history.locked():
            await scene.queues.publish(source, EVENTS)
            await until(lambda: database_is(bridge, "down"), 25, what=bridge.last_words)
            code, health = await bridge.health()
            assert (code, health["status"]) == (200, "degraded")
            # Consumption has stopped by itself: the prefetch is used up.
            assert await scene.queues.depth(source) == len(EVENTS) - PREFETCH
            # If it lasts, what was not started goes back to the queue.
            await until(lambda: bridge.said("dependency.unavailable"), what=bridge.last_words)
            await until(lambda: what_was_not_started_is_back(scene, source))
            assert (await bridge.health())[1]["consumers"] == {"main": "left"}
            assert await settled(bridge, 0)
        await until(lambda: bridge.said("dependency.restored"), what=bridge.last_words)
        scene.endpoint.script("/crm", OK)
        await until(
            lambda: bridge.history.statuses("crm") == {"SUCCESS": len(EVENTS)}, what=bridge.last_words
        )
        assert (await bridge.health())[1]["status"] == "ok"
    assert Counter(scene.endpoint.bodies("/crm")) == Counter(EVENTS)
    assert await scene.queues.depth(source) == 0


async def what_was_not_started_is_back(scene: Scene, source: str) -> bool:
    return await scene.queues.depth(source) == len(EVENTS) - len(scene.endpoint.requests)


async def test_a_kill_while_the_file_is_locked_repeats_and_loses_nothing(scene: Scene):
    source = await scene.queue()
    async with scene.bridge([scene.webhook("crm")], one_source(source)) as bridge:
        with bridge.history.locked():
            await scene.queues.publish(source, EVENTS)
            await until(lambda: len(scene.endpoint.requests) == PREFETCH)
            await bridge.kill()
        await bridge.start()
        await until(
            lambda: bridge.history.statuses("crm") == {"SUCCESS": len(EVENTS)}, what=bridge.last_words
        )
    assert len(scene.endpoint.requests) == len(EVENTS) + PREFETCH
    assert await scene.queues.depth(source) == 0


async def test_a_row_that_the_database_refuses_stops_no_other(scene: Scene):
    source = await scene.queue()
    async with scene.bridge([scene.webhook("crm")], one_source(source)) as bridge:
        with closing(sqlite3.connect(bridge.history.file, timeout=30)) as connection:
            connection.execute(
                "CREATE TRIGGER no_thirteen BEFORE INSERT ON events WHEN NEW.body = X'3133' "
                "BEGIN SELECT RAISE(ABORT, 'not this one'); END"
            )
        await scene.queues.publish(source, EVENTS)
        await until(lambda: settled(bridge, len(EVENTS)), what=bridge.last_words)
        assert bridge.history.statuses("crm") == {"SUCCESS": len(EVENTS) - 1}
        (said,) = bridge.said("history.entry_refused")
        assert "not this one" in said["reason"]
        assert await database_is(bridge, "up")
    assert Counter(scene.endpoint.bodies("/crm")) == Counter(EVENTS)
    assert await scene.queues.depth(source) == 0


# ---- PostgreSQL -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    try:
        started = PostgresServer.start()
    except ServerError as error:
        pytest.skip(str(error))
    with started:
        yield started


async def fetch(server: PostgresServer, query: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(server.url)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


async def statuses(server: PostgresServer) -> dict[str, int]:
    return dict(await fetch(server, "SELECT status, count(*) FROM deliveries GROUP BY status"))


@pytest.fixture
async def storage(server: PostgresServer) -> dict[str, str]:
    """An empty history on that server."""
    await fetch(server, "DROP SCHEMA public CASCADE")
    await fetch(server, "CREATE SCHEMA public")
    return {"url": server.url}


@pytest.mark.parametrize("kind", ["kill", "halt"])
async def test_a_server_that_goes_away_in_mid_stream(
    scene: Scene, server: PostgresServer, storage: dict[str, str], kind: str
):
    source = await scene.queue()
    scene.endpoint.script("/crm", slow(0.02))
    await scene.queues.publish(source, EVENTS)
    async with scene.bridge([scene.webhook("crm")], one_source(source), storage=storage) as bridge:
        await until(lambda: len(scene.endpoint.requests) > 50, what=bridge.last_words)
        await asyncio.to_thread(server.kill if kind == "kill" else server.halt)
        await until(lambda: database_is(bridge, "down"), 20, what=bridge.last_words)
        assert (await bridge.health())[0] == 200
        await asyncio.to_thread(server.restart)
        await until(lambda: database_is(bridge, "up"), 20, what=bridge.last_words)
        await until(lambda: settled(bridge, len(EVENTS)), 20, what=bridge.last_words)
        assert await statuses(server) == {"SUCCESS": len(EVENTS)}
    assert Counter(scene.endpoint.bodies("/crm")) == Counter(EVENTS)
    assert await scene.queues.depth(source) == 0


async def test_a_server_that_is_silent(scene: Scene, server: PostgresServer, storage: dict[str, str]):
    source = await scene.queue()
    async with open_proxy(server.port) as proxy:
        storage["url"] = server.url.replace(f":{server.port}/", f":{proxy.port}/")
        async with scene.bridge([scene.webhook("crm")], one_source(source), storage=storage) as bridge:
            await scene.queues.publish(source, EVENTS[:20])
            await until(lambda: settled(bridge, 20), what=bridge.last_words)
            proxy.silent = True
            await scene.queues.publish(source, EVENTS[20:])
            await until(lambda: database_is(bridge, "down"), 30, what=bridge.last_words)
            assert len(scene.endpoint.requests) == 20 + PREFETCH
            proxy.silent = False
            proxy.cut()
            await until(lambda: settled(bridge, len(EVENTS)), 20, what=bridge.last_words)
            assert await statuses(server) == {"SUCCESS": len(EVENTS)}
    assert Counter(scene.endpoint.bodies("/crm")) == Counter(EVENTS)


async def test_a_row_that_the_server_refuses_stops_no_other(
    scene: Scene, server: PostgresServer, storage: dict[str, str]
):
    source = await scene.queue()
    async with scene.bridge([scene.webhook("crm")], one_source(source), storage=storage) as bridge:
        await fetch(server, "ALTER TABLE events ADD CHECK (body <> '\\x3133')")
        await scene.queues.publish(source, [*EVENTS, b"\x00", b'{"a":"\\u0000"}'])
        await until(lambda: settled(bridge, len(EVENTS) + 2), what=bridge.last_words)
        assert await statuses(server) == {"SUCCESS": len(EVENTS) + 1}
        assert len(bridge.said("history.entry_refused")) == 1


async def test_two_replicas_share_the_work(scene: Scene, server: PostgresServer, storage: dict[str, str]):
    source = await scene.queue()
    scene.endpoint.script("/crm", slow(0.02))
    hooks = [scene.webhook("crm"), scene.webhook("flaky", retry={"schedule": ["0s"], "max_attempts": 50})]
    scene.endpoint.script("/flaky", *[status(500)] * 30, OK)
    (scene.folder / "two").mkdir()
    second = BridgeProcess(scene.folder / "two", scene.settings(hooks, one_source(source), storage=storage))
    async with scene.bridge(hooks, one_source(source), storage=storage) as first, owned(second):
        await second.start()
        await scene.queues.publish(source, EVENTS)
        await until(lambda: both_done(server), 20, what=first.last_words)
        for bridge in (first, second):
            assert await bridge.metric("events_received_total") > 0
        await second.stop()
    assert Counter(scene.endpoint.bodies("/crm")) == Counter(EVENTS)
    assert len(scene.endpoint.bodies("/flaky")) == len(EVENTS) + 30
    assert await scene.queues.depth(source) == 0


async def both_done(server: PostgresServer) -> bool:
    return await statuses(server) == {"SUCCESS": 2 * len(EVENTS)}


async def test_an_unreachable_server_is_one_clear_line(scene: Scene):
    source = await scene.queue()
    storage = {"url": "postgresql://bridge:hunter2@127.0.0.1:1/bridge"}
    async with scene.prepared([scene.webhook("crm")], source, storage=storage) as bridge:
        await bridge.launch()
        assert await bridge.ended(30) == 1
        said = [line for line in bridge.log_text.splitlines() if line.startswith("error: ")]
        assert len(said) == 1
        assert "hunter2" not in bridge.log_text
        assert "Traceback" not in bridge.log_text
