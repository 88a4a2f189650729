"""What came before is not delivered again: handed out twice by the broker, or sent twice by its publisher."""

from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from tests.support.anonymous import NO_ID
from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import Gate
from tests.support.proxy import open_proxy
from tests.support.scene import Scene
from tests.support.waiting import until

COUNT = 20


def bodies(prefix: str, count: int = COUNT) -> list[bytes]:
    return [b'{"type":"t","order":"%s-%d"}' % (prefix.encode(), number) for number in range(count)]


async def publish(
    scene: Scene, source: str, each: list[bytes], *, ids: bool = True, of: bytes | None = None
) -> None:
    """Each with an id of its own, the same for the same body (or that of the body `of`), or without."""
    for body in each:
        message_id = (of or body).decode()[-12:] if ids else NO_ID
        await scene.queues.publish(source, [body], message_id=message_id)


async def at_rest(scene: Scene, bridge: BridgeProcess, source: str) -> None:
    """All is recorded and settled."""

    async def settled() -> bool:
        metrics = await bridge.metrics()
        received, acked = metrics("events_received_total"), metrics("events_settled_total", result="acked")
        return received == acked and not await scene.queues.depth(source)

    await until(settled, 30, what=bridge.last_words)
    await until(lambda: not bridge.history.unfinished(), what=bridge.last_words)


def counted(scene: Scene, path: str) -> Counter[bytes]:
    return Counter(scene.endpoint.bodies(path))


async def test_after_a_kill_what_was_committed_is_not_repeated_and_other_hooks_of_the_message_get_theirs(
    scene: Scene,
):
    source = await scene.queue()
    gate = Gate()
    scene.endpoint.script("/slow", gate)
    events, alike = bodies("a"), [b'{"type":"t","alike":true}'] * 3
    hooks = [
        scene.webhook("quick"),
        scene.webhook("slow", concurrency=50),
        scene.webhook("off", enabled=False),
        scene.webhook("parked", paused=True),
    ]
    async with scene.prepared(hooks, source) as bridge:
        await bridge.start()
        await publish(scene, source, events)
        await publish(scene, source, alike, ids=False)
        known = {"quick": "SUCCESS", "off": "SKIPPED", "parked": "PENDING"}
        for hook, status in known.items():
            await until(
                lambda: bridge.history.statuses(hook) == {status: COUNT + 3},  # noqa: B023
                what=bridge.last_words,
            )
        await until(lambda: len(scene.endpoint.bodies("/slow")) == COUNT + 3, what=bridge.last_words)
        await bridge.kill()
        gate.open.set()
        scene.endpoint.script("/slow", gate)
        await bridge.start()
        await until(lambda: bridge.history.statuses("slow")["SUCCESS"] >= COUNT + 3, what=bridge.last_words)
        await bridge.reload([*hooks[:3], hooks[3] | {"paused": False}])
        await at_rest(scene, bridge, source)

        # What was under way at the kill is repeated, what had its fate is not; without an id nothing can be known.
        assert counted(scene, "/quick") == dict.fromkeys(events, 1) | {alike[0]: 6}
        assert counted(scene, "/slow") == dict.fromkeys(events, 2) | {alike[0]: 6}
        assert counted(scene, "/parked") == dict.fromkeys(events, 1) | {alike[0]: 6}
        assert await bridge.metric("redelivered_total", source="main") == COUNT + 3
        assert await bridge.metric("duplicates_total", source="main", kind="redelivered") == COUNT
        of_events = "SELECT count(*), count(DISTINCT webhook_id) FROM events WHERE publisher_id IS NOT NULL"
        assert bridge.history.rows(of_events) == [(COUNT, COUNT)]
        totals = {"quick": COUNT + 6, "slow": COUNT + 3, "off": COUNT + 6, "parked": COUNT + 6}
        assert {hook: bridge.history.statuses(hook).total() for hook in totals} == totals
        await bridge.stop()


async def test_what_a_cut_connection_left_under_way_is_waited_for_and_not_begun_again(scene: Scene):
    source = await scene.queue()
    gate = Gate()
    scene.endpoint.script("/crm", gate)
    events = bodies("a")
    parts = urlsplit(scene.amqp_url)
    assert parts.port is not None
    async with open_proxy(parts.port) as proxy:
        url = parts._replace(netloc=parts.netloc.replace(str(parts.port), str(proxy.port))).geturl()
        async with scene.bridge([scene.webhook("crm", concurrency=50)], source, amqp_url=url) as bridge:
            await publish(scene, source, events)
            await until(lambda: len(scene.endpoint.bodies("/crm")) == COUNT, what=bridge.last_words)
            proxy.cut()
            again = partial(bridge.metric, "redelivered_total", source="main")
            await until(lambda: met(again, COUNT), 30, what=bridge.last_words)
            gate.open.set()
            await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": COUNT}, what=bridge.last_words)
            known = partial(bridge.metric, "duplicates_total", source="main", kind="redelivered")
            await until(lambda: met(known, COUNT), what=bridge.last_words)
            await at_rest(scene, bridge, source)

            assert counted(scene, "/crm") == dict.fromkeys(events, 1)
            assert await bridge.metric("in_flight") == 0


async def met(metric: Callable[[], Awaitable[float]], value: float) -> bool:
    return await metric() == value


def dedupe(source: str, **fields: Any) -> list[dict[str, Any]]:
    return [{"name": "main", "queue": source, "dedupe": fields}]


async def test_what_a_publisher_sent_twice_is_delivered_once_and_recorded_as_a_duplicate_until_the_window_is_over(
    scene: Scene,
):
    source = await scene.queue()
    events = bodies("a", 10)
    hooks = [scene.webhook("crm"), scene.webhook("other"), scene.webhook("not", events=["nothing"])]
    storage = {"retention_every": "1s"}
    async with scene.bridge(hooks, dedupe(source), storage=storage) as bridge:
        await publish(scene, source, [*events, *events])
        await publish(scene, source, [b'{"type":"t","other":"body"}' for _ in events[:1]], of=events[0])
        await publish(scene, source, [events[0]] * 2, ids=False)
        await at_rest(scene, bridge, source)
        for path in ("/crm", "/other"):
            assert counted(scene, path) == dict.fromkeys(events, 1) | {events[0]: 3}
            assert bridge.history.reasons(path[1:]) == {("SUCCESS", ""): 12, ("SKIPPED", "duplicate"): 11}
        assert await bridge.metric("duplicates_total", source="main", kind="published") == 11
        assert await bridge.metric("dedupe_without_key_total", source="main") == 2
        assert bridge.history.rows("SELECT count(*), min(done) FROM claims") == [(10, 1)]

        # What a person put back from quarantine is no duplicate.
        put_back = {"x-bridge-requeued": True}
        await scene.queues.publish(source, [events[0]], put_back, message_id=events[0].decode()[-12:])
        await at_rest(scene, bridge, source)
        assert counted(scene, "/crm")[events[0]] == 4

        end_windows(bridge)
        await until(lambda: not bridge.history.rows("SELECT * FROM claims"), what=bridge.last_words)
        await publish(scene, source, events)
        await at_rest(scene, bridge, source)
        assert counted(scene, "/crm") == dict.fromkeys(events, 2) | {events[0]: 5}


async def test_a_kill_with_keys_taken_and_nothing_delivered_loses_nothing_and_delivers_no_second_one(
    scene: Scene,
):
    source = await scene.queue()
    gate = Gate()
    scene.endpoint.script("/crm", gate)
    first, second = bodies("a", 10), [b" " + each for each in bodies("a", 10)]
    sources = dedupe(source, by="event.data.order", window="1h")
    async with scene.prepared([scene.webhook("crm", concurrency=50)], sources) as bridge:
        await bridge.start()
        await publish(scene, source, first, ids=False)
        await until(lambda: counted(scene, "/crm") == dict.fromkeys(first, 1), what=bridge.last_words)
        await publish(scene, source, second, ids=False)
        skipped = {("SKIPPED", "duplicate"): 10}
        await until(lambda: bridge.history.reasons("crm") == skipped, what=bridge.last_words)
        assert bridge.history.rows("SELECT count(*), max(done) FROM claims") == [(10, 0)]
        await bridge.kill()
        gate.open.set()
        await bridge.start()
        await publish(scene, source, second, ids=False)
        await until(lambda: bridge.history.statuses("crm")["SUCCESS"] == 10, what=bridge.last_words)
        await at_rest(scene, bridge, source)
        await bridge.stop()
        await bridge.start()
        await publish(scene, source, second, ids=False)
        await at_rest(scene, bridge, source)
        # Whichever message of an event came first after the kill went on with it.
        arrived = counted(scene, "/crm")
        assert Counter(body.strip() for body in arrived.elements()) == dict.fromkeys(first, 2)
        assert bridge.history.reasons("crm") == {("SUCCESS", ""): 10, ("SKIPPED", "duplicate"): 30}

        end_windows(bridge)
        await publish(scene, source, second, ids=False)
        await at_rest(scene, bridge, source)
        assert counted(scene, "/crm") == arrived + Counter(second)
        await bridge.stop()


def end_windows(bridge: BridgeProcess) -> None:
    with bridge.history.changing() as database:
        database.execute("UPDATE claims SET until = 0")
