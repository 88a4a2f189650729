"""Replays of a running bridge: at their pace, across kill -9, and cancelled."""

from collections import Counter
from typing import Any

from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import slow, status
from tests.support.operating import HTTP, Operator, operating
from tests.support.scene import Scene
from tests.support.waiting import holds, until

NO_RETRY = {"preset": "none"}


def bodies(count: int) -> list[bytes]:
    return [b'{"n":%d}' % number for number in range(count)]


async def all_failed(scene: Scene, bridge: BridgeProcess, source: str, events: list[bytes]) -> None:
    """Have each of these fail, then mend the endpoint."""
    scene.endpoint.script("/crm", status(500))
    await scene.queues.publish(source, events)
    await until(lambda: bridge.history.statuses("crm") == {"FAILED": len(events)}, 30, what=bridge.last_words)
    scene.endpoint.requests.clear()
    scene.endpoint.script("/crm", slow(0.01))


async def started(api: Operator, **asked: Any) -> dict[str, Any]:
    return dict(await api.post("/replays", asked, status=201))


async def ended(api: Operator, replay: dict[str, Any], seconds: float = 30) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        found: dict[str, Any] = await api.get(f"/replays/{replay['id']}")
        return found if found["finished_at"] else None

    found: dict[str, Any] = await until(look, seconds)
    return found


async def test_all_that_failed_is_delivered_at_the_given_rate(scene: Scene):
    source, events = await scene.queue(), bodies(200)
    async with scene.bridge([scene.webhook("crm", retry=NO_RETRY)], source, http=HTTP) as bridge:
        await all_failed(scene, bridge, source, events)
        async with operating(bridge) as api:
            dry = await api.post("/replays", {"dry_run": True, "filter": {"hook": "crm"}})
            assert dry == {"dry_run": True, "total": 200, "exact": True, "left_out": 0}
            replay = await started(api, filter={"hook": "crm"}, rate="50/s")
            assert (replay["total"], replay["done"], replay["rate"]) == (200, 0, 50)
            found = await ended(api, replay)
            assert (found["status"], found["done"], found["error"]) == ("done", 200, None)
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 200}, what=bridge.last_words)
    received = scene.endpoint.received("/crm")
    assert Counter(each.body for each in received) == Counter(events)
    span = received[-1].at - received[0].at
    assert 0.9 * 4 < span < 1.1 * 4
    halves = [sum(1 for each in received if (each.at - received[0].at) // 2 == half) for half in range(2)]
    assert all(80 <= half <= 120 for half in halves), halves


async def test_goes_on_after_kill_9_and_repeats_next_to_nothing(scene: Scene):
    source, events = await scene.queue(), bodies(400)
    hook = scene.webhook("crm", retry=NO_RETRY, concurrency=4)
    async with scene.bridge([hook], source, http=HTTP) as bridge:
        await all_failed(scene, bridge, source, events)
        async with operating(bridge) as api:
            replay = await started(api, filter={"hook": "crm"}, rate=100)
        await until(lambda: len(scene.endpoint.requests) >= 200, what=bridge.last_words)
        await bridge.kill()
        await bridge.start()
        async with operating(bridge) as api:
            found = await ended(api, replay)
        assert (found["status"], found["done"], found["total"]) == ("done", 400, 400)
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 400}, 40, what=bridge.last_words)
    times = Counter(scene.endpoint.bodies("/crm"))
    assert set(times) == set(events)
    # Attempts whose outcome was not committed when it was killed.
    assert times.total() - len(events) <= 30


async def test_a_cancelled_replay_takes_nothing_more(scene: Scene):
    source, events = await scene.queue(), bodies(100)
    async with scene.bridge([scene.webhook("crm", retry=NO_RETRY)], source, http=HTTP) as bridge:
        await all_failed(scene, bridge, source, events)
        async with operating(bridge) as api:
            replay = await started(api, rate=20)
            await until(lambda: len(scene.endpoint.requests) >= 10, what=bridge.last_words)
            cancelled = await api.post(f"/replays/{replay['id']}/cancel")
            assert cancelled["status"] == "cancelled"
            again = await api.ask("DELETE", f"/replays/{replay['id']}")
            assert again.body["status"] == "cancelled"
            done = (await api.get(f"/replays/{replay['id']}"))["done"]
        assert done < 50
        await until(lambda: len(scene.endpoint.requests) == done, what=bridge.last_words)
        await holds(lambda: len(scene.endpoint.requests) == done, 0.5, what="more were taken")
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": done, "FAILED": 100 - done})


async def test_does_not_fill_the_lane_of_a_hook_that_takes_nothing(scene: Scene):
    source, events = await scene.queue(), bodies(1200)
    hook = scene.webhook("crm", retry=NO_RETRY)
    async with scene.bridge([hook], source, http=HTTP) as bridge:
        await all_failed(scene, bridge, source, events)
        await bridge.reload([{**hook, "paused": True}])
        async with operating(bridge) as api:
            replay = await started(api, filter={"hook": "crm"})

            async def done() -> int:
                return int((await api.get(f"/replays/{replay['id']}"))["done"])

            async def is_full() -> bool:
                return await done() >= 750

            async def stays_so() -> bool:
                return await done() <= 1000

            await until(is_full, what=bridge.last_words)
            await holds(stays_so, 1.0, what="the lane grows")
            assert (await scene.queues.depth(scene.lane("crm")) or 0) <= 1000
            await bridge.reload([hook])
            found = await ended(api, replay)
        assert (found["status"], found["done"]) == ("done", 1200)
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 1200}, 30, what=bridge.last_words)
    assert Counter(scene.endpoint.bodies("/crm")) == Counter(events)


async def test_a_new_hook_gets_what_came_before_it(scene: Scene):
    source = await scene.queue()
    first = scene.webhook("crm")
    late = scene.webhook("late", filter="event.data.n % 2 == 0")
    events = bodies(20)
    async with scene.bridge([first], source, http=HTTP) as bridge:
        await scene.queues.publish(source, events)
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 20}, what=bridge.last_words)
        await bridge.reload([first, late])
        async with operating(bridge) as api:
            asked = {"hook": "late", "missing": True, "from": "-1h"}
            dry = await api.post("/replays", {"dry_run": True, "filter": asked})
            assert dry["total"] == 10
            found = await ended(api, await started(api, filter=asked))
            assert (found["status"], found["done"]) == ("done", 10)
            await until(lambda: bridge.history.statuses("late") == {"SUCCESS": 10}, what=bridge.last_words)
            again = await ended(api, await started(api, filter=asked))
            assert (again["total"], again["done"]) == (0, 0)
    assert Counter(scene.endpoint.bodies("/late")) == Counter(events[::2])
    assert len(scene.endpoint.bodies("/crm")) == 20


async def test_a_bridge_that_stops_in_order_goes_on_without_a_repeat(scene: Scene):
    source, events = await scene.queue(), bodies(200)
    async with scene.bridge([scene.webhook("crm", retry=NO_RETRY)], source, http=HTTP) as bridge:
        await all_failed(scene, bridge, source, events)
        async with operating(bridge) as api:
            replay = await started(api, filter={"hook": "crm"}, rate=50)
        await until(lambda: len(scene.endpoint.requests) >= 70, what=bridge.last_words)
        await bridge.stop()
        await bridge.start()
        async with operating(bridge) as api:
            assert (await ended(api, replay))["done"] == 200
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 200}, 30, what=bridge.last_words)
    assert Counter(scene.endpoint.bodies("/crm")) == Counter(events)
