"""Notifications from the queue to the services, in a running bridge."""

import json
import time

from tests.support.history import SqliteHistory
from tests.support.scene import Scene
from tests.support.services import answer, running, silence
from tests.support.waiting import until


async def test_each_service_is_told_once_although_one_of_them_fails_first(scene: Scene):
    source = await scene.queue()
    async with running() as services:
        hook = {
            "name": "ops",
            "retry": {"schedule": ["1s"], "max_attempts": 5, "jitter": 0},
            "target": {
                "type": "notify",
                "urls": [services.url(name) for name in ("discord", "tgram", "ntfy")],
                "endpoints": services.endpoints(),
                "title": "Order {{ event.data.number }}",
                "body": "**{{ event.data.text }}**",
                "format": "markdown",
            },
        }
        services.plan("tgram", answer(500), answer(429, '{"parameters": {"retry_after": 1}}'))
        async with scene.bridge([hook], source, log={"level": "debug"}) as bridge:
            body = {"number": 7, "text": "a < b _c_ *d* 😀"}
            await scene.queues.publish(source, [json.dumps(body).encode()])
            history = SqliteHistory(scene.folder / "bridge.db")
            await until(lambda: history.statuses("ops") == {"SUCCESS": 1}, 30, what=bridge.last_words)
        attempts = history.rows("SELECT outcome, error FROM attempts ORDER BY number")
        assert [outcome for outcome, _ in attempts] == ["partial", "partial", "delivered"]
        assert attempts[0][1].startswith("urls[1] (tgram): answered 500")
        assert {name: len(posts) for name, posts in services.posts.items()} == {
            "discord": 1,
            "ntfy": 1,
            "tgram": 1,
        }
        assert services.posts["tgram"][0].text.splitlines() == ["Order 7", "a < b _c_ *d* 😀"]
        log = bridge.log_text
        assert "abcdefg_hijklmnop" not in log
        assert "JHZ7lQml277CDHmQKMHI8qBe7bk2ZwO5UKjCiOAF7711o33" not in log


async def test_a_service_that_hangs_does_not_hold_up_the_end(scene: Scene):
    source = await scene.queue()
    async with running() as services:
        services.plan("ntfy", silence(120))
        target = {"type": "notify", "urls": [services.url("ntfy")], "timeout": 29}
        hook = {"name": "ops", "target": target}
        async with scene.bridge([hook], source, limits={"drain": 1}) as bridge:
            await scene.queues.publish(source, [b"{}"])
            await until(lambda: services.requests, 20)
            started = time.monotonic()
            await bridge.stop()
            assert time.monotonic() - started < 10
