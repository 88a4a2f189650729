"""kill -9 between any two steps of the flow: nothing is lost, and what is repeated is what the table promises."""

import asyncio
import json
import signal
from collections import Counter, defaultdict

import pytest
from aiohttp import web

from tests.support.anonymous import NO_ID
from tests.support.bridge_process import BridgeProcess
from tests.support.crash_points import CRASHING, Point, Way, arm, disarm, points_of
from tests.support.endpoint import Received, hang, status
from tests.support.queues import STEPS
from tests.support.scene import Scene
from tests.support.waiting import until

FAILURES: dict[Way, int] = {"retry": 1, "lane": 1, "retry from the lane": 2}
SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSBjcmFzaGVz"
FIRST = b"first"


@pytest.mark.parametrize(
    "way", ["direct", "answered", "retry", "lane", "retry from the lane", "park", "stop"]
)
async def test_killed_between_any_two_steps_nothing_is_lost_and_repeats_are_as_promised(
    scene: Scene, way: Way
):
    source = await scene.queue()
    pairs = Pairs(FAILURES.get(way, 0))
    scene.endpoint.script("/crm", pairs)
    hook = scene.webhook(
        "crm",
        paused=way == "park",
        concurrency=2,
        retry={"schedule": ["500ms"], "max_attempts": 10, "jitter": 0},
        target_profile="standard",
        target_secrets=[SECRET],
    )
    # Both events are in one commit, which comes before their copies are due.
    sources = [{"name": "main", "queue": source, "prefetch": 2}]
    history = {"min_wait": "200ms", "max_wait": "200ms"}
    async with scene.prepared([hook], sources, history=history) as bridge:
        bridge.program = CRASHING
        await bridge.start()
        if way != "park":
            # An endpoint that a process has not met yet gets one attempt alone.
            await scene.queues.publish(source, [FIRST])
            await until(lambda: bridge.history.delivered_bodies("crm"), what=bridge.last_words)
        for point in points_of(way):
            await die_at(point, scene, bridge, source, pairs)
            await bridge.start()
            if way != "park":
                await recovered(point, scene, bridge, source, pairs)
            else:
                await until(lambda: settled(bridge, 2), what=bridge.last_words)
        if way == "park":
            await bridge.reload([hook | {"paused": False}])
            await until(lambda: not bridge.history.unfinished(), what=bridge.last_words)
        await until(lambda: nothing_waits(scene, source), what=bridge.last_words)
        await bridge.stop()
        assert await nothing_waits(scene, source)
        assert bridge.history.statuses("crm").keys() == {"SUCCESS"}
        # What was not committed is not known: whatever repeats it has the same number.
        numbers = {number for number, *_ in bridge.history.attempts("crm")}
        assert numbers == set(range(1, FAILURES.get(way, 0) + 2))
        # At the most: where the machine is slow the two events of a pair may come into two commits, of which one was made.
        repeated = {point: pairs.repeats(point) for point in points_of(way)}
        assert [point for point, made in repeated.items() if made[0] > point.repeats[0]] == [], repeated
        assert [point for point, made in repeated.items() if made[1] > point.repeats[1]] == [], repeated
        for point in points_of(way):
            assert len(pairs.ids[body(point, with_id=True)]) == 1
            assert bridge.history.delivered_bodies("crm") >= set(pair(point))


async def test_killed_while_a_410_pauses_its_hook_it_is_called_once_more_at_most_and_the_event_is_not_lost(
    scene: Scene,
):
    source = await scene.queue()
    points = points_of("gone")
    names = [f"gone-{number}" for number in range(len(points))]
    hooks = [scene.webhook(name, events=[name]) for name in names]
    for name in names:
        scene.endpoint.script(f"/{name}", status(410))
    async with scene.prepared(hooks, source, history={"min_wait": "100ms"}) as bridge:
        bridge.program = CRASHING
        await bridge.start()
        for name, point in zip(names, points, strict=True):
            arm(bridge.folder, point)
            await scene.queues.publish(source, [b"{}"], message_id=name, message_type=name)
            assert await bridge.ended(10) == -9
            disarm(bridge.folder)
            await bridge.start()
            await until(lambda: settled(bridge, 1), what=bridge.last_words)
        await until(lambda: paused(bridge, names), what=bridge.last_words)
        calls = [len(scene.endpoint.received(f"/{name}")) for name in names]
        assert calls == [1 + point.repeats[0] for point in points]
        assert [bridge.history.reasons(name) for name in names] == [
            {("FAILED", "gone"): 1},
            {("PENDING", "paused"): 1},
            {("FAILED", "gone"): 1},
        ]
        assert await scene.queues.depth(scene.lane(names[1])) == 1


async def paused(bridge: BridgeProcess, hooks: list[str]) -> bool:
    metrics = await bridge.metrics()
    return all(metrics("hook_paused", hook=hook) for hook in hooks)


def body(point: Point, *, with_id: bool) -> bytes:
    return json.dumps({"point": f"{point.way}: {point.name}", "id": with_id}).encode()


def pair(point: Point) -> tuple[bytes, bytes]:
    return body(point, with_id=True), body(point, with_id=False)


class Pairs:
    """Refuses each event so many times, then takes it. While armed, both events of a pair go side by side."""

    def __init__(self, failures: int) -> None:
        self.taken: Counter[bytes] = Counter()
        self.ids: dict[bytes, set[str]] = defaultdict(set)
        self.armed: Point | None = None
        self._failures = failures
        self._seen: Counter[bytes] = Counter()

    @property
    def both_taken(self) -> bool:
        return self.armed is not None and all(self.taken[each] for each in pair(self.armed))

    def repeats(self, point: Point) -> tuple[int, int]:
        with_id, without = (self.taken[each] - 1 for each in pair(point))
        if point.at_most and with_id <= point.repeats[0] and without <= point.repeats[1]:
            return point.repeats
        return with_id, without

    async def __call__(self, received: Received) -> web.Response:
        self._seen[received.body] += 1
        time = self._seen[received.body]
        refused = time <= self._failures and received.body != FIRST
        self.ids[received.body].add(received.headers["webhook-id"])
        self.taken[received.body] += not refused
        if (point := self.armed) is not None:
            await until(lambda: all(self._seen[each] >= time for each in pair(point)))
            if not refused and (not point.where or point.where.endswith("Sources.leave")):
                return await hang(received)
        return web.Response(status=500 if refused else 200)


async def die_at(point: Point, scene: Scene, bridge: BridgeProcess, source: str, pairs: Pairs) -> None:
    """Have two events come to that point, and the bridge with them to its end."""
    pairs.armed = point
    if point.where:
        arm(bridge.folder, point)
    with_id, without = pair(point)
    await asyncio.gather(
        scene.queues.publish(source, [with_id], message_id=point.name),
        scene.queues.publish(source, [without], message_id=NO_ID),
    )
    if point.way == "stop" or not point.where:
        await until(lambda: pairs.both_taken, what=bridge.last_words)
        if point.where:
            bridge.signal(signal.SIGTERM)
        else:
            await bridge.kill()
    assert await bridge.ended(10) == -9
    disarm(bridge.folder)
    pairs.armed = None


async def recovered(point: Point, scene: Scene, bridge: BridgeProcess, source: str, pairs: Pairs) -> None:
    """Return when the bridge that was started after that has nothing left to do, not even held in the process."""
    await until(lambda: all(pairs.taken[each] for each in pair(point)), what=bridge.last_words)
    found = bridge.history.delivered_bodies
    await until(lambda: found("crm") >= set(pair(point)), what=bridge.last_words)
    while True:
        await until(lambda: not bridge.history.unfinished(), what=bridge.last_words)
        await until(lambda: nothing_waits(scene, source), what=bridge.last_words)
        await bridge.stop()  # what was held is on the broker again
        over = await nothing_waits(scene, source)
        await bridge.start()
        if over:
            return


async def settled(bridge: BridgeProcess, count: int) -> bool:
    """So many messages that came again are acked."""
    return await bridge.metric("events_settled_total", result="acked") == count


async def nothing_waits(scene: Scene, source: str) -> bool:
    own = [f"{scene.prefix}.{name}" for name in ("dead", "orphans", *(f"delay.{step}" for step in STEPS))]
    return not any([await scene.queues.depth(queue) for queue in (source, scene.lane("crm"), *own)])
