"""The admin API of a running bridge: what happened can be seen from outside."""

import json

import aiohttp

from tests.support.api_server import ApiClient
from tests.support.endpoint import status
from tests.support.scene import Scene
from tests.support.waiting import until

TOKEN = "e2e-Geheimnis-8842"


async def test_what_happened_can_be_looked_up_over_http(scene: Scene):
    source = await scene.queue()
    broken = scene.webhook(
        "broken",
        retry={"schedule": ["1h"]},
        target_profile="standard",
        target_secrets=["whsec_" + "QUJD" * 8],
    )
    hooks = [scene.webhook("crm"), broken, scene.webhook("held", paused=True)]
    scene.endpoint.script("/broken", status(500))
    async with scene.bridge(hooks, source, http={"admin_token": TOKEN}) as bridge:
        await scene.queues.publish(source, [b'{"n":1}', b'{"n":2}'])
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 2}, what=bridge.last_words)
        await until(lambda: bridge.history.statuses("broken") == {"RETRYING": 2}, what=bridge.last_words)
        await until(lambda: bridge.history.statuses("held") == {"PENDING": 2}, what=bridge.last_words)
        async with aiohttp.ClientSession() as session:
            api = ApiClient(session, bridge.url, TOKEN)
            assert len((await api.get("/deliveries"))["items"]) == 6
            [_, first] = (await api.get("/deliveries?hook=broken&status=RETRYING"))["items"]
            alone = await api.get(f"/deliveries/{first['id']}")
            assert [attempt["status_code"] for attempt in alone["attempts"]] == [500]
            event = await api.get(f"/events/{first['event_id']}?explain=true")
            assert event["data"] == {"n": 1}
            assert {each["hook"]: each["status"] for each in event["deliveries"]} == {
                "crm": "SUCCESS",
                "broken": "RETRYING",
                "held": "PENDING",
            }
            assert {each["hook"]: each["decision"] for each in event["hooks"]} == dict.fromkeys(
                ("crm", "broken", "held"), "match"
            )
            [found] = (await api.get("/sources"))["items"]
            assert (found["queue"], found["state"], found["depth"], found["consumers"]) == (
                source,
                "consuming",
                0,
                1,
            )
            shown = await api.get("/hooks")
            assert "QUJD" not in json.dumps(shown)
            assert {hook["id"]: hook["state"]["lane_depth"] for hook in shown["items"]}["held"] == 2
            answer = await api.explain({"body": {"n": 3}})
            assert [each["matches"] for each in answer.body["events"][0]["hooks"]] == [True, True, True]
            assert len((await api.get("/events"))["items"]) == 2
            api.token = "wrong"
            await api.refused("/hooks", 401)
    assert TOKEN not in bridge.log_text
