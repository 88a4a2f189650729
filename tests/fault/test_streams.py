"""Sources that are streams: all of it is delivered, and reading goes on where it ended, whatever happens meanwhile."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import slow
from tests.support.measured import measured
from tests.support.scene import Scene
from tests.support.two_replicas import open_replicas
from tests.support.waiting import until

STREAM = {"x-queue-type": "stream"}
EVENTS = [b'{"n":%d}' % number for number in range(2000)]
PREFETCH = 100
CHUNK = 20
"""The broker hands out whole chunks, so up to one beyond the prefetch (3.10.8); what is confirmed together makes them."""
KILLED_AT = (200, 900, 1500)


def some(name: str) -> list[bytes]:
    return [b"%b %d" % (name.encode(), number) for number in range(5)]


async def publish_in_chunks(scene: Scene, source: str, events: Sequence[bytes]) -> None:
    for start in range(0, len(events), CHUNK):
        await scene.queues.publish(source, events[start : start + CHUNK])


def got(scene: Scene) -> list[bytes]:
    return scene.endpoint.bodies("/crm")


async def all_came(scene: Scene, bridge: BridgeProcess, events: Iterable[bytes]) -> None:
    """Each of these was delivered once, and all of them have their fate."""
    wanted = sorted(events)
    await until(lambda: len(got(scene)) >= len(wanted), 30, what=bridge.last_words)
    assert sorted(got(scene)) == wanted
    await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": len(wanted)}, what=bridge.last_words)


async def test_killed_three_times_each_is_delivered_and_at_most_one_prefetch_and_a_chunk_repeated_each_time(
    scene: Scene,
):
    source = await scene.queue(arguments=STREAM)
    scene.endpoint.script("/crm", slow(0.01))
    sources = [{"name": "main", "queue": source, "prefetch": PREFETCH}]
    await publish_in_chunks(scene, source, EVENTS)
    repeated = 0
    async with scene.prepared([scene.webhook("crm")], sources) as bridge:
        for count in KILLED_AT:
            await bridge.start()
            await until(lambda: len(set(got(scene))) >= count, 30, what=bridge.last_words)  # noqa: B023
            await bridge.kill()
            again = len(got(scene)) - len(set(got(scene)))
            assert again - repeated <= PREFETCH + CHUNK
            repeated = again
        await bridge.start()
        await until(lambda: set(got(scene)) == set(EVENTS), 30, what=bridge.last_words)
        last = len(EVENTS) - 1
        await until(lambda: place(bridge) == (last, "0"), what=bridge.last_words)
        assert len(got(scene)) - len(EVENTS) - repeated <= PREFETCH + CHUNK
        measured(repeated=len(got(scene)) - len(EVENTS))
        assert await bridge.metric("source_contract_mismatch", source="main") == 0
        await until(lambda: reaches(bridge, last), what=bridge.last_words)
        began = [told["done_to"] for told in bridge.said("stream.reading")]
        assert began[0] > KILLED_AT[0]
        await bridge.stop()
        assert bridge.history.rows("SELECT * FROM quarantine") == []


def place(bridge: BridgeProcess) -> tuple[int, str]:
    [found] = bridge.history.rows("SELECT reached, ahead FROM stream_offsets")
    return found[0], found[1]


async def reaches(bridge: BridgeProcess, offset: int) -> bool:
    return await bridge.metric("stream_offset", source="main") == offset


async def test_before_during_and_between_its_lives_everything_comes_and_an_idle_stream_is_left_alone(
    scene: Scene,
):
    source = await scene.queue(arguments=STREAM)
    await scene.queues.publish(source, some("before"))
    hooks, patience = [scene.webhook("crm")], {"silent_after": "1s"}
    async with scene.prepared(hooks, source, broker=patience) as bridge:
        await bridge.start()
        await scene.queues.publish(source, some("during"))
        await all_came(scene, bridge, [*some("before"), *some("during")])
        await bridge.stop()
        await scene.queues.publish(source, some("between"))
        await bridge.start()
        everything = [*some("before"), *some("during"), *some("between")]
        await all_came(scene, bridge, everything)
        # It goes on quietly past the time after which a queue would be taken for a silent one.
        await asyncio.sleep(4)
        await scene.queues.publish(source, some("late"))
        await all_came(scene, bridge, [*everything, *some("late")])
        assert not bridge.said("consumer.silent")
        await bridge.stop()


@pytest.mark.parametrize(("offset", "begins_with"), [("next", []), ("last", [b"last"])])
async def test_whoever_begins_at_the_end_begins_exactly_there_and_gets_what_came_while_it_was_stopped(
    scene: Scene, offset: str, begins_with: list[bytes]
):
    source = await scene.queue(arguments=STREAM)
    await scene.queues.publish(source, some("before"))
    await scene.queues.publish(source, [b"last"])  # confirmed apart, so in a chunk of its own
    sources = [{"name": "main", "queue": source, "stream": {"offset": offset}}]
    async with scene.bridge([scene.webhook("crm")], sources) as bridge:
        await until(lambda: bridge.said("stream.reading"), what=bridge.last_words)
        await bridge.stop()
        await scene.queues.publish(source, some("between"))
        await bridge.start()
        await scene.queues.publish(source, some("during"))
        await all_came(scene, bridge, [*begins_with, *some("between"), *some("during")])


async def test_a_stream_that_was_deleted_and_made_anew_is_read_from_its_beginning(scene: Scene):
    source = await scene.queue(arguments=STREAM)
    await scene.queues.publish(source, [*some("before"), *some("old")])
    async with scene.bridge([scene.webhook("crm")], source) as bridge:
        await all_came(scene, bridge, [*some("before"), *some("old")])
        await bridge.stop()
        await scene.queues.delete(source)
        await scene.queues.declare(source, STREAM)
        await scene.queues.publish(source, some("new"))
        await bridge.start()
        await all_came(scene, bridge, [*some("before"), *some("old"), *some("new")])
        assert bridge.said("stream.made_anew")


async def test_of_two_replicas_one_reads_and_the_other_goes_on_when_it_dies(scene: Scene, postgres_url: str):
    source = await scene.queue(arguments=STREAM)
    events = EVENTS[:300]
    scene.endpoint.script("/crm", slow(0.02))
    sources = [{"name": "main", "queue": source, "prefetch": 20}]
    async with open_replicas(scene, postgres_url, [scene.webhook("crm", concurrency=4)], sources) as replicas:
        first, second = replicas.bridges
        await first.start()
        await second.launch()
        await until(lambda: stands_by(second), 30, what=replicas.last_words)
        await publish_in_chunks(scene, source, events)
        await until(lambda: len(got(scene)) > 50, what=replicas.last_words)
        await first.kill()
        await until(lambda: set(got(scene)) == set(events), 40, what=replicas.last_words)
        assert len(got(scene)) - len(events) <= 20 + CHUNK


async def stands_by(bridge: BridgeProcess) -> Any:
    listening = bridge.said("http.listening")
    if not listening:
        return False
    bridge.url = listening[0]["address"]
    status, health = await bridge.health()
    return status == 200 and health["consumers"] == {"main": "standing_by"}


@pytest.mark.timeout(150)
async def test_while_the_bridge_runs_a_stream_may_be_made_anew_and_become_a_queue(scene: Scene):
    source = await scene.queue(arguments=STREAM)
    await scene.queues.publish(source, some("first"))
    async with scene.bridge([scene.webhook("crm")], source) as bridge:
        await all_came(scene, bridge, some("first"))
        await scene.queues.delete(source)
        await until(lambda: bridge.said("source.missing"), what=bridge.last_words)
        await scene.queues.declare(source, STREAM)
        await scene.queues.publish(source, some("second"))
        await all_came(scene, bridge, [*some("first"), *some("second")])
        await scene.queues.delete(source)
        await until(lambda: len(bridge.said("source.missing")) > 1, what=bridge.last_words)
        await scene.queues.declare(source)
        await scene.queues.publish(source, some("third"))
        await all_came(scene, bridge, [*some("first"), *some("second"), *some("third")])
        await bridge.stop()
        assert await scene.queues.depth(source) == 0
