"""Two replicas of the version before are replaced by this one, one after the other, while events keep coming."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from tests.support.endpoint import Received
from tests.support.scene import Scene
from tests.support.two_replicas import Replicas, open_replicas
from tests.support.version_before import runs_this_version, runs_version_before, unpack_version_before
from tests.support.waiting import until

PER_SECOND = 500
BATCH = 50
PREFETCH = 500
MOST_EVENTS = 30_000


class Receiver:
    """Counts what it accepted; refuses every fiftieth event once, so that some wait on the ladder between the versions."""

    def __init__(self) -> None:
        self.accepted: Counter[bytes] = Counter()
        self.refused: set[bytes] = set()

    async def __call__(self, received: Received) -> web.Response:
        body = received.body
        if int(body) % 50 == 0 and body not in self.refused:
            self.refused.add(body)
            return web.Response(status=503)
        self.accepted[body] += 1
        return web.Response()


class Stream:
    """Publishes at a steady rate until it is told to end."""

    def __init__(self, scene: Scene, source: str) -> None:
        self.published = 0
        self._scene = scene
        self._source = source

    async def run(self) -> None:
        """Publish batch after batch, each at its time."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while self.published < MOST_EVENTS:
            batch = [b"%d" % number for number in range(self.published, self.published + BATCH)]
            await self._scene.queues.publish(self._source, batch)
            self.published += BATCH
            await asyncio.sleep(begun + self.published / PER_SECOND - loop.time())

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """Publish for as long as the block takes."""
        task = asyncio.create_task(self.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def replace(replicas: Replicas, number: int, receiver: Receiver) -> None:
    """Stop a replica in order, start this version in its place, and see deliveries go on."""
    bridge = replicas.bridges[number]
    await bridge.stop()
    runs_this_version(bridge)
    await bridge.start()
    before = receiver.accepted.total()
    await until(lambda: receiver.accepted.total() > before + PER_SECOND, 30, what=replicas.last_words)


@pytest.mark.timeout(240)
async def test_a_rolling_upgrade_under_load_loses_nothing(scene: Scene, postgres_url: str):
    code = unpack_version_before(scene.folder / "before")
    source = await scene.queue()
    receiver = Receiver()
    scene.endpoint.script("/crm", receiver)
    hook = scene.webhook("crm", retry={"schedule": ["5s", "5s"]})
    stream = Stream(scene, source)
    sources = [{"name": "main", "queue": source, "prefetch": PREFETCH}]
    async with open_replicas(scene, postgres_url, [hook], sources) as replicas:
        for bridge in replicas.bridges:
            runs_version_before(bridge, code)
        await replicas.start()
        async with stream.flowing():
            await until(lambda: receiver.accepted.total() > 2 * PER_SECOND, 30, what=replicas.last_words)
            await replace(replicas, 0, receiver)
            await replace(replicas, 1, receiver)

        async def nothing_waits() -> bool:
            found = await replicas.database.statuses("crm")
            return set(found) == {"SUCCESS"} and len(receiver.accepted) >= stream.published

        await until(nothing_waits, 120, what=replicas.last_words)
        taken_over = [each for bridge in replicas.bridges for each in bridge.said("copy.taken_from_history")]
    sent = {b"%d" % number for number in range(stream.published)}
    assert sent <= set(receiver.accepted)
    assert taken_over, "no copy that the version before wrote came to this one"
    assert receiver.accepted.total() - len(receiver.accepted) <= PREFETCH
