"""Other languages and the bridge on the same queues: whoever comes first, nobody gets 406 and every byte arrives."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import permutations
from pathlib import Path

import pytest

from tests.support.bridge_process import BridgeProcess
from tests.support.languages import LANGUAGES, Consumer, languages
from tests.support.scene import Scene, open_scene
from tests.support.waiting import until

PUBLISHERS = ("php", "node", "python")
BRIDGE = "bridge"
ORDERS = list(permutations((*PUBLISHERS, BRIDGE)))
AT_ONCE = 4
"""Programs started at the same time."""


def a_body(*of: object) -> bytes:
    """What parsing and writing again would change: a big integer, an escaped slash, unicode both ways, spaces."""
    name = json.dumps(f"{of}")
    return (
        b'{ "of":%s,"id":18446744073709551616123,"path":"a\\/b","s":"\\u017e \xc5\xbe \xf0\x9f\x9a\x80"}'
        % (name.encode())
    )


@pytest.mark.timeout(120)
async def test_in_every_order_of_declaring_all_mean_the_same_queue(amqp_url: str, tmp_path: Path):
    languages(*PUBLISHERS)
    async with AsyncExitStack() as stack:
        # One bridge for each place in the order: it is started when its turn comes, with the queues of all
        # orders in which that is its turn.
        scenes = []
        for turn in range(len(ORDERS[0])):
            folder = tmp_path / str(turn)
            folder.mkdir()
            scenes.append(await stack.enter_async_context(open_scene(amqp_url, folder)))
        queues = [await scenes[order.index(BRIDGE)].queue(" ".join(order), declare=False) for order in ORDERS]
        bridges = []
        for turn, scene in enumerate(scenes):
            await published([(o[turn], q) for o, q in zip(ORDERS, queues, strict=True)], amqp_url, turn)
            mine = [q for o, q in zip(ORDERS, queues, strict=True) if o[turn] == BRIDGE]
            bridges.append(await stack.enter_async_context(bridge_on(scene, mine)))
        sent = {
            a_body(o[turn], q, turn)
            for o, q in zip(ORDERS, queues, strict=True)
            for turn in range(len(o))
            if o[turn] != BRIDGE
        }
        await until(lambda: len(arrived(scenes)) >= len(sent), what=bridges[0].last_words)
        assert arrived(scenes) == Counter(sent)
        for bridge in bridges:
            assert await bridge.metric("source_contract_mismatch") == 0
            assert not bridge.said("source.contract_mismatch")


def bridge_on(scene: Scene, queues: Sequence[str]):
    """A bridge that consumes these queues and posts what it gets to the scene's endpoint."""
    sources = [{"name": f"s{number}", "queue": queue} for number, queue in enumerate(queues)]
    return scene.bridge([scene.webhook("all", retry={"preset": "none"})], sources)


def arrived(scenes: Sequence[Scene]) -> Counter[bytes]:
    """What came out of all bridges."""
    return Counter(body for scene in scenes for body in scene.endpoint.bodies("/all"))


async def published(turns: Sequence[tuple[str, str]], url: str, turn: int) -> None:
    """Each of these publishers, by name, has published to its queue."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def publish(name: str, queue: str) -> None:
        async with gate:
            ended = await LANGUAGES[name].publish(url, queue, a_body(name, queue, turn))
            assert ended.code == 0, ended.err

    async with asyncio.TaskGroup() as group:
        for name, queue in turns:
            if name != BRIDGE:
                group.create_task(publish(name, queue))


async def test_consumers_that_came_first_get_what_the_bridge_and_the_others_publish(scene: Scene):
    languages(*LANGUAGES)
    source = await scene.queue()
    sinks = {name: await scene.queue(f"for {name}", declare=False) for name in LANGUAGES}
    async with AsyncExitStack() as stack:
        consumers = await waiting(stack, scene, sinks)
        bridge = await stack.enter_async_context(bridge_to(scene, source, sinks))
        await all_get_all(scene, source, sinks, consumers, bridge)


async def test_consumers_that_come_after_the_bridge_get_what_it_and_the_others_publish(scene: Scene):
    languages(*LANGUAGES)
    source = await scene.queue()
    sinks = {name: await scene.queue(f"for {name}", declare=False) for name in LANGUAGES}
    early = a_body("early")
    async with AsyncExitStack() as stack:
        bridge = await stack.enter_async_context(bridge_to(scene, source, sinks))
        await scene.queues.publish(source, [early])
        for sink in sinks.values():
            await until(lambda: scene.queues.depth(sink), what=bridge.last_words)  # noqa: B023
        consumers = await waiting(stack, scene, sinks)
        await all_get_all(scene, source, sinks, consumers, bridge, early)


def bridge_to(scene: Scene, source: str, sinks: dict[str, str]):
    """A bridge that publishes what comes from the source to each of these queues, which it may make."""
    hooks = [
        {"name": name, "target": {"type": "queue", "queue": sink, "declare": True}}
        for name, sink in sinks.items()
    ]
    return scene.bridge(hooks, source)


async def waiting(stack: AsyncExitStack, scene: Scene, sinks: dict[str, str]) -> dict[str, Consumer]:
    """A consumer in each language on its queue."""
    return {
        name: await stack.enter_async_context(LANGUAGES[name].consumer_of(scene.amqp_url, sink))
        for name, sink in sinks.items()
    }


async def all_get_all(
    scene: Scene,
    source: str,
    sinks: dict[str, str],
    consumers: dict[str, Consumer],
    bridge: BridgeProcess,
    *before: bytes,
) -> None:
    """Every consumer prints what came through the bridge, and what was published in every language."""
    through_the_bridge = [a_body(BRIDGE, number) for number in range(20)]
    await scene.queues.publish(source, through_the_bridge)
    for name in LANGUAGES:
        async with asyncio.TaskGroup() as group:
            for sink in sinks.values():
                group.create_task(published_once(scene.amqp_url, name, sink))
    expected = Counter([*before, *through_the_bridge, *(a_body(name) for name in LANGUAGES)])
    for name, consumer in consumers.items():
        await until(
            lambda: len(consumer.bodies) >= expected.total(),  # noqa: B023
            what=lambda: f"{name}: {consumer.err}\n{bridge.last_words()}",  # noqa: B023
        )
        assert Counter(consumer.bodies) == expected, name
        assert await consumer.stop() == 0, consumer.err
    assert bridge.history.unfinished() == 0


async def published_once(url: str, name: str, queue: str) -> None:
    ended = await LANGUAGES[name].publish(url, queue, a_body(name))
    assert ended.code == 0, ended.err
