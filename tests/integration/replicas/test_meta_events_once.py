"""Two replicas on one PostgreSQL: what is found by looking is told once, whichever looks."""

import json
from functools import partial

from tests.support.endpoint import status
from tests.support.scene import Scene
from tests.support.two_replicas import Asked, open_replicas
from tests.support.waiting import holds, until


def kinds(scene: Scene) -> list[str]:
    return [json.loads(body)["type"] for body in scene.endpoint.bodies("/ops")]


async def is_paused(asked: Asked) -> bool:
    return bool((await asked.get("/hooks/crm"))["state"]["paused"])


async def test_warnings_are_told_once_and_the_pause_is_in_force_on_both(scene: Scene, postgres_url: str):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(500))
    crm = scene.webhook("crm", retry={"schedule": ["200ms"], "max_attempts": 1000})
    hooks = [crm, scene.webhook("ops", sources=["bridge"])]
    async with open_replicas(
        scene, postgres_url, hooks, source, delivery={"auto_pause_after": "4s"}
    ) as replicas:
        await replicas.start()
        await scene.queues.publish(source, [b"%d" % number for number in range(4)])
        await until(lambda: "hook.paused" in kinds(scene), 40, what=replicas.last_words)
        for asked in replicas.asked:
            await until(partial(is_paused, asked), what=replicas.last_words)
        wanted = ["hook.failing"] * 4 + ["hook.paused"]
        await holds(lambda: sorted(kinds(scene)) == wanted, 2, what="told by both")
        deeds = await replicas.database.rows("SELECT actor, action, object_id FROM audit")
        assert deeds == [("bridge", "hooks.pause", "crm")]


async def has(asked: Asked, webhook: str) -> bool:
    return webhook in [row["id"] for row in (await asked.get("/admin/webhooks"))["webhooks"]]


async def test_a_webhook_has_the_same_id_and_figures_on_both(scene: Scene, postgres_url: str):
    source = await scene.queue()
    async with open_replicas(scene, postgres_url, [], source) as replicas:
        await replicas.start()
        first, second = replicas.asked
        body = {"name": "Alerts", "url": scene.endpoint.url("/in"), "secret": "s", "events": ["*"]}
        code, made = await first.ask("POST", "/admin/webhooks", body)
        assert code == 201
        webhook = made["webhook"]["id"]
        await until(partial(has, second, webhook), what=replicas.last_words)
        assert (await second.ask("POST", f"/admin/webhooks/{webhook}/test"))[0] == 200
        [row] = (await second.get("/admin/webhooks"))["webhooks"]
        assert row == (await first.get("/admin/webhooks"))["webhooks"][0]
        assert (row["id"], row["is_active"]) == (webhook, True)
