"""Deliveries that are started anew by a person: exactly one delivery comes of it, and all attempts are told."""

import asyncio

import pytest

from tests.support.endpoint import OK, hang, slow, status
from tests.support.operating import HTTP, operating
from tests.support.scene import Scene
from tests.support.waiting import holds, until


async def test_a_failing_hook_ends_failed_and_a_retry_after_it_is_mended_ends_successful(scene: Scene):
    source = await scene.queue()
    hook = scene.webhook("crm", retry={"schedule": ["1s"]})
    scene.endpoint.script("/crm", status(500, b"out of order"))
    async with scene.bridge([hook], source, http=HTTP) as bridge, operating(bridge) as operator:
        await scene.queues.publish(source, [b'{"n":1}'])
        failed = await operator.only_delivery("crm", "FAILED")
        assert [each["number"] for each in failed["attempts"]] == [1, 2]
        assert {each["response"] for each in failed["attempts"]} == {"out of order"}
        assert failed["target"] == {"type": "webhook", "to": scene.endpoint.url("/crm")}

        scene.endpoint.script("/crm", status(503), OK)
        asked = await operator.post(f"/deliveries/{failed['id']}/retry", status=202)
        assert (asked["status"], asked["id"]) == ("PENDING", failed["id"])

        done = await operator.only_delivery("crm", "SUCCESS")
        # The schedule began anew: there was a retry left.
        assert [(each["number"], each["generation"], each["status_code"]) for each in done["attempts"]] == [
            (1, 1, 500), (2, 1, 500), (3, 2, 503), (4, 2, 200),
        ]  # fmt: skip
        assert [each.body for each in scene.endpoint.received("/crm")] == [b'{"n":1}'] * 4
        ids = {each.headers.get("webhook-id") for each in scene.endpoint.received("/crm")}
        assert len(ids) == 1
        assert bridge.history.rows("SELECT * FROM outbox") == []


@pytest.mark.parametrize("wait", [3, 6])
async def test_a_retry_beside_an_automatic_one_ends_in_one_delivery(scene: Scene, wait: int):
    source = await scene.queue()
    hook = scene.webhook("crm", retry={"schedule": [f"{wait}s"]})
    scene.endpoint.script("/crm", status(500), OK)
    async with scene.bridge([hook], source, http=HTTP) as bridge, operating(bridge) as operator:
        await scene.queues.publish(source, [b"{}"])
        waiting = await operator.only_delivery("crm", "RETRYING")

        await operator.post(f"/deliveries/{waiting['id']}/retry", status=202)
        done = await operator.only_delivery("crm", "SUCCESS")

        assert [each["generation"] for each in done["attempts"]] == [1, 2]

        async def overtaken() -> bool:
            return await bridge.metric("stale_copies_total") == 1

        await until(overtaken, wait + 10, what=bridge.last_words)
        assert len(scene.endpoint.received("/crm")) == 2


async def test_what_an_attempt_of_before_comes_to_does_not_overwrite_the_retry(scene: Scene):
    source = await scene.queue()
    hook = scene.webhook("crm", retry={"schedule": ["1s", "1h"]})
    scene.endpoint.script("/crm", status(500), slow(2.0, status(500)), OK)
    async with scene.bridge([hook], source, http=HTTP) as bridge, operating(bridge) as operator:
        await scene.queues.publish(source, [b"{}"])
        waiting = await operator.only_delivery("crm", "RETRYING")
        await until(lambda: scene.endpoint.under_way["/crm"])

        await operator.post(f"/deliveries/{waiting['id']}/retry", status=202)
        await operator.only_delivery("crm", "SUCCESS")

        async def all_told() -> bool:
            found = await operator.only_delivery("crm", "SUCCESS")
            return len(found["attempts"]) == 3

        await until(all_told, what=bridge.last_words)


async def test_a_retry_of_a_paused_hook_waits_until_it_is_resumed(scene: Scene):
    source = await scene.queue()
    async with (
        scene.bridge([scene.webhook("crm")], source, http=HTTP) as bridge,
        operating(bridge) as operator,
    ):
        await scene.queues.publish(source, [b"{}"])
        done = await operator.only_delivery("crm", "SUCCESS")
        await operator.post("/hooks/crm/pause")
        await operator.post(f"/deliveries/{done['id']}/retry", status=202)
        await until(lambda: scene.queues.depth(scene.lane("crm")), what=bridge.last_words)
        assert len(scene.endpoint.received("/crm")) == 1

        await operator.post("/hooks/crm/resume")
        done = await operator.only_delivery("crm", "SUCCESS")

        assert [each["generation"] for each in done["attempts"]] == [1, 2]


async def test_what_cannot_be_started_anew_is_refused_with_the_reason(scene: Scene):
    source = await scene.queue()
    hooks = [scene.webhook("off", enabled=False), scene.webhook("gone"), scene.webhook("pruned")]
    async with scene.bridge(hooks, source, http=HTTP) as bridge, operating(bridge) as operator:
        await scene.queues.publish(source, [b"{}"])
        skipped = await operator.only_delivery("off", "SKIPPED")
        done = await operator.only_delivery("gone", "SUCCESS")
        pruned = await operator.only_delivery("pruned", "SUCCESS")
        await bridge.reload([hooks[0], hooks[2]])
        with bridge.history.changing() as database:
            database.execute("DELETE FROM events")

        for delivery, word in ((skipped, "disabled"), (done, "gone"), (pruned, "history")):
            refused = await operator.ask("POST", f"/deliveries/{delivery['id']}/retry")
            assert (refused.status, word in refused.body["detail"]) == (409, True), refused.body
        for path in ("/deliveries/01987a5c-0000-7000-8000-000000000000", "/deliveries/nothing"):
            assert (await operator.ask("POST", f"{path}/retry")).status == 404
            assert (await operator.ask("POST", f"{path}/cancel")).status == 404


async def test_what_a_crash_left_in_the_outbox_is_published_once_after_it(scene: Scene):
    """Killed after the generation was raised: the copy was never published."""
    source = await scene.queue()
    scene.endpoint.script("/crm", status(410), OK)
    hook = scene.webhook("crm")
    async with scene.bridge([hook], source, http=HTTP) as bridge, operating(bridge) as operator:
        await scene.queues.publish(source, [b"{}"])
        failed = await operator.only_delivery("crm", "FAILED")
        await operator.post("/hooks/crm/resume")
        await bridge.kill()
        with bridge.history.changing() as database:
            database.execute("UPDATE deliveries SET generation = 2, status = 'PENDING', reason = 'restarted'")
            database.execute("INSERT INTO outbox VALUES (?, 2, 0)", (failed["id"],))

        await bridge.start()

        done = await operator.only_delivery("crm", "SUCCESS")
        assert [(each["number"], each["generation"]) for each in done["attempts"]] == [(1, 1), (2, 2)]
        await until(lambda: not bridge.history.rows("SELECT * FROM outbox"))


async def test_a_copy_that_a_crash_has_published_twice_is_delivered_once(scene: Scene):
    """Killed after the copy was confirmed, before it was taken out of the outbox."""
    source = await scene.queue()
    hook = scene.webhook("crm", concurrency=1)
    async with scene.bridge([hook], source, http=HTTP) as bridge, operating(bridge) as operator:
        await scene.queues.publish(source, [b"{}"])
        done = await operator.only_delivery("crm", "SUCCESS")
        await operator.post("/hooks/crm/pause")
        await operator.post(f"/deliveries/{done['id']}/retry", status=202)
        lane = scene.lane("crm")
        await until(lambda: scene.queues.depth(lane), what=bridge.last_words)
        await bridge.kill()
        with bridge.history.changing() as database:
            database.execute("INSERT INTO outbox VALUES (?, 2, 0)", (done["id"],))
        await bridge.start()
        await until(lambda: not bridge.history.rows("SELECT * FROM outbox"), what=bridge.last_words)

        async def both() -> bool:
            return await scene.queues.depth(lane) == 2

        await until(both, what=bridge.last_words)
        await operator.post("/hooks/crm/resume")
        await operator.only_delivery("crm", "SUCCESS")

        async def dropped() -> bool:
            return await bridge.metric("stale_copies_total") == 1

        await until(dropped, what=bridge.last_words)
        assert len(scene.endpoint.received("/crm")) == 2


async def test_a_restart_that_a_kill_interrupts_ends_in_its_delivery(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(404))
    hook = scene.webhook("crm", retry={"preset": "none"})
    async with scene.bridge([hook], source, http=HTTP) as bridge, operating(bridge) as operator:
        await scene.queues.publish(source, [b"%d" % number for number in range(20)])
        await until(lambda: bridge.history.statuses("crm") == {"FAILED": 20}, what=bridge.last_words)
        scene.endpoint.script("/crm", OK)
        failed = await operator.deliveries("crm")
        before = len(scene.endpoint.received("/crm"))
        asking = asyncio.gather(
            *(operator.ask("POST", f"/deliveries/{each['id']}/retry") for each in failed),
            return_exceptions=True,
        )
        await until(lambda: bridge.history.rows("SELECT 1 FROM deliveries WHERE generation = 2"), every=0.0)
        await bridge.kill()
        await asking
        started = bridge.history.rows("SELECT count(*) FROM deliveries WHERE generation = 2")[0][0]
        with bridge.history.changing() as database:
            database.execute("UPDATE outbox SET put_at = 0")

        await bridge.start()

        def ended() -> bool:
            return not bridge.history.rows(
                "SELECT 1 FROM deliveries WHERE generation = 2 AND status <> 'SUCCESS'"
            )

        await until(ended, 25, what=bridge.last_words)
        bodies = scene.endpoint.bodies("/crm")[before:]
        assert len(set(bodies)) == started
        assert bridge.history.statuses("crm")["SUCCESS"] == started


async def test_a_delivery_that_waits_is_cancelled_and_never_attempted(scene: Scene):
    source = await scene.queue()
    hooks = [scene.webhook("held", paused=True), scene.webhook("crm", retry={"schedule": ["2s"]})]
    scene.endpoint.script("/crm", status(500), OK)
    async with scene.bridge(hooks, source, http=HTTP) as bridge, operating(bridge) as operator:
        await scene.queues.publish(source, [b"{}"])
        for hook, before in (("held", "PENDING"), ("crm", "RETRYING")):
            waiting = await operator.only_delivery(hook, before)
            cancelled = await operator.post(f"/deliveries/{waiting['id']}/cancel")
            assert (cancelled["status"], cancelled["reason"]) == ("FAILED", "cancelled")
            assert cancelled["next_attempt_at"] is None
            again = await operator.ask("POST", f"/deliveries/{waiting['id']}/cancel")
            assert (again.status, "FAILED" in again.body["detail"]) == (409, True)
        await operator.post("/hooks/held/resume")

        async def dropped() -> bool:
            return await bridge.metric("stale_copies_total") == 2

        await until(dropped, what=bridge.last_words)
        assert len(scene.endpoint.received("/crm")) == 1
        assert scene.endpoint.received("/held") == []
        assert await bridge.metric("deliveries_total", status="FAILED") == 2

        waiting = await operator.only_delivery("held", "FAILED")
        await operator.post(f"/deliveries/{waiting['id']}/retry", status=202)
        done = await operator.only_delivery("held", "SUCCESS")
        assert [(each["number"], each["generation"]) for each in done["attempts"]] == [(1, 3)]


async def test_what_waits_for_a_slot_is_cancelled_too(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", hang)
    hook = scene.webhook("crm", concurrency=1, paused=True)
    async with scene.bridge([hook], source, http=HTTP) as bridge, operating(bridge) as operator:
        await scene.queues.publish(source, [b"1", b"2"])
        await until(lambda: bridge.history.statuses("crm") == {"PENDING": 2}, what=bridge.last_words)
        await operator.post("/hooks/crm/resume")
        await until(lambda: scene.endpoint.under_way["/crm"] == 1, what=bridge.last_words)
        [body] = scene.endpoint.bodies("/crm")
        [second] = [
            each["id"]
            for each in await operator.deliveries("crm")
            if (await operator.get(f"/events/{each['event_id']}"))["data"] != int(body)
        ]

        await operator.post(f"/deliveries/{second}/cancel")
        scene.endpoint.script("/crm", OK)
        await scene.endpoint.close()
        await scene.endpoint.open()

        await until(lambda: bridge.history.reasons("crm")["SUCCESS", ""] == 1, 25, what=bridge.last_words)
        await holds(lambda: len(set(scene.endpoint.bodies("/crm"))) == 1, 0.5, what="the other came, too")
        await bridge.stop()
