"""What happens to a delivery whose attempt failed."""

import time
from itertools import pairwise

import pytest

from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import OK, hang, slow, status
from tests.support.scene import Scene
from tests.support.waiting import holds, until


def waits(scene: Scene, path: str) -> list[float]:
    """Seconds between one request and the next."""
    times = [request.at for request in scene.endpoint.received(path)]
    return [later - earlier for earlier, later in pairwise(times)]


async def test_waits_are_never_early_and_at_most_two_seconds_late(scene: Scene):
    source = await scene.queue()
    schedules = {"none": "0s", "lane": "1s", "step": "5s", "mixed": "7s"}
    hooks = [
        scene.webhook(name, retry={"schedule": [wait], "max_attempts": 2, "jitter": 0})
        for name, wait in schedules.items()
    ]
    for name in schedules:
        scene.endpoint.script(f"/{name}", status(500), OK)
    await scene.queues.publish(source, [b"{}"])
    async with scene.bridge(hooks, source) as bridge:
        await until(lambda: bridge.history.unfinished() == 0 and all_twice(scene, schedules), 20)
        for name, wait in schedules.items():
            assert bridge.history.statuses(name) == {"SUCCESS": 1}
            (waited,) = waits(scene, f"/{name}")
            planned = float(wait[:-1])
            assert planned <= waited <= planned + 2.0
            assert [attempt[0] for attempt in bridge.history.attempts(name)] == [1, 2]
        # The last attempt that was permitted succeeded: the hook is as well as any.
        metrics = await bridge.metrics()
        assert metrics("hook_paused") == metrics("breaker_state") == 0
        assert metrics("deliveries_total", status="FAILED") == 0


def all_twice(scene: Scene, names: dict[str, str]) -> bool:
    return all(len(scene.endpoint.received(f"/{name}")) == 2 for name in names)


async def test_a_delivery_fails_when_its_attempts_are_used_up(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(500, b"no luck"))
    hook = scene.webhook("crm", retry={"schedule": ["0s", "100ms"], "max_attempts": 4})
    await scene.queues.publish(source, [b"{}"])
    async with scene.bridge([hook], source) as bridge:
        await until(lambda: bridge.history.statuses("crm")["FAILED"])
        assert bridge.history.reasons("crm") == {("FAILED", "retries_exhausted"): 1}
        assert [attempt[:1] + attempt[2:] for attempt in bridge.history.attempts("crm")] == [
            (number, "status", 500) for number in (1, 2, 3, 4)
        ]
        metrics = await bridge.metrics()
        assert metrics("deliveries_total", hook="crm", status="FAILED") == 1
        assert metrics("attempts_total", hook="crm", outcome="status") == 4
        assert metrics("retries_scheduled_total", hook="crm") == 3
    assert len(scene.endpoint.received("/crm")) == 4
    assert await scene.queues.depth(source) == 0


@pytest.mark.parametrize(("code", "final"), [(302, []), (400, [400, 422]), (422, [400, 422])])
async def test_an_answer_that_is_final_is_not_tried_again(scene: Scene, code: int, final: list[int]):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(code, Location="/elsewhere"))
    await scene.queues.publish(source, [b"{}"])
    async with scene.bridge([scene.webhook("crm", target_final=final)], source) as bridge:
        await until(lambda: bridge.history.statuses("crm")["FAILED"])
    assert len(scene.endpoint.requests) == 1


async def test_retry_after_holds_the_whole_hook_and_no_other(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", slow(0.2, status(429, Retry_After="3")), OK)
    hooks = [scene.webhook("crm", concurrency=1, retry={"schedule": ["1s"]}), scene.webhook("other")]
    events = [b"%d" % number for number in range(20)]
    await scene.queues.publish(source, events)
    async with scene.bridge(hooks, source) as bridge:
        await until(lambda: len(scene.endpoint.received("/other")) == len(events))
        await until(lambda: len(scene.endpoint.received("/crm")) > len(events), what=bridge.last_words)
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": len(events)})
    first, second, *_ = [request.at for request in scene.endpoint.received("/crm")]
    assert second - first >= 3.0
    assert second - first < 6.5
    assert len(scene.endpoint.received("/crm")) == len(events) + 1


async def test_a_retry_after_as_a_date_is_kept(scene: Scene):
    source = await scene.queue()
    when = time.time() + 3
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(when))
    scene.endpoint.script("/crm", status(503, Retry_After=date), OK)
    await scene.queues.publish(source, [b"{}"])
    started = time.monotonic() - time.time()
    async with scene.bridge([scene.webhook("crm", retry={"schedule": ["0s"]})], source):
        await until(lambda: len(scene.endpoint.received("/crm")) == 2)
    # The date has whole seconds only.
    assert scene.endpoint.received("/crm")[1].at - started >= int(when)


async def test_an_open_breaker_burns_no_attempts(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(429))  # which says nothing of when it will be well again
    hook = scene.webhook("crm", concurrency=2, retry={"schedule": ["100ms"], "max_attempts": 3})
    events = [b"%d" % number for number in range(40)]
    await scene.queues.publish(source, events)
    quick = {"first_probe": "300ms", "longest_probe": "300ms"}
    async with scene.bridge([hook], source, breaker=quick) as bridge:
        await until(lambda: breaker_is_open(bridge), what=bridge.last_words)
        await until(lambda: len(scene.endpoint.received("/crm")) >= 10, what=bridge.last_words)
        assert bridge.history.statuses("crm")["FAILED"] <= 2
        scene.endpoint.script("/crm", OK)
        await until(lambda: bridge.history.unfinished() == 0, what=bridge.last_words)
        statuses = bridge.history.statuses("crm")
        assert statuses["SUCCESS"] >= len(events) - 2
        assert statuses.total() == len(events)
        assert await bridge.metric("breaker_state", hook="crm") == 0


async def breaker_is_open(bridge: BridgeProcess) -> bool:
    return await bridge.metric("breaker_state", hook="crm") == 2


async def test_an_event_that_comes_when_nothing_waits_is_the_probe(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", *[status(503)] * 5, OK)
    hook = scene.webhook("crm", concurrency=1, retry={"preset": "none"})
    await scene.queues.publish(source, [b"%d" % number for number in range(5)])
    async with scene.bridge([hook], source, breaker={"first_probe": "200ms"}) as bridge:
        await until(lambda: bridge.history.statuses("crm")["FAILED"] == 5)
        assert await bridge.metric("breaker_state", hook="crm") == 2
        await until(lambda: bridge.said("breaker.opened"))
        await scene.queues.publish(source, [b"after"])
        await until(lambda: bridge.history.statuses("crm")["SUCCESS"] == 1, what=bridge.last_words)
        await until(lambda: bridge.said("breaker.closed"))


async def test_a_timeout_ends_an_attempt_and_the_next_one_comes(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", hang, OK)
    hook = scene.webhook("crm", target_timeout="500ms", retry={"schedule": ["0s"]})
    await scene.queues.publish(source, [b"{}"])
    async with scene.bridge([hook], source) as bridge:
        await until(lambda: bridge.history.statuses("crm")["SUCCESS"])
        assert [attempt[2] for attempt in bridge.history.attempts("crm")] == ["timeout", "delivered"]


async def test_nothing_is_attempted_once_the_event_is_too_old(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(500))
    hook = scene.webhook("crm", retry={"schedule": ["200ms"], "max_attempts": 1000, "max_age": "1s"})
    await scene.queues.publish(source, [b"{}"])
    async with scene.bridge([hook], source) as bridge:
        await until(lambda: bridge.history.statuses("crm")["FAILED"])
        assert bridge.history.reasons("crm") == {("FAILED", "too_old"): 1}
        made = len(scene.endpoint.requests)
        assert 2 <= made <= 6
        await holds(lambda: len(scene.endpoint.requests) == made, 0.5, what="attempted after its end")


async def test_the_webhook_id_is_the_same_on_every_attempt(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(500), status(500), OK)
    hook = scene.webhook(
        "crm",
        target_profile="standard",
        target_secrets=["whsec_" + "YQ" * 16],
        retry={"schedule": ["0s", "1s"]},
    )
    await scene.queues.publish(source, [b"{}"])
    async with scene.bridge([hook], source) as bridge:
        await until(lambda: bridge.history.statuses("crm")["SUCCESS"], what=bridge.last_words)
    assert len({request.headers["webhook-id"] for request in scene.endpoint.requests}) == 1
    assert len(scene.endpoint.requests) == 3


async def test_classic_queues_carry_what_waits_as_well(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(500), OK)
    hooks = [
        scene.webhook("crm", retry={"schedule": ["5s"], "jitter": 0}),
        scene.webhook("waits", target_timeout="31s"),
    ]
    await scene.queues.publish(source, [b"{}"])
    async with scene.bridge(hooks, source, broker={"queue_type": "classic"}) as bridge:
        await until(lambda: bridge.history.statuses("waits") == {"SUCCESS": 1}, what=bridge.last_words)
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 1}, what=bridge.last_words)
        assert waits(scene, "/crm")[0] >= 5.0
