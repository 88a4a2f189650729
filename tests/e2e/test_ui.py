"""The operator UI of a running bridge."""

import html

import aiohttp

from tests.support.endpoint import status
from tests.support.scene import Scene
from tests.support.waiting import until

TOKEN = "e2e-Geheimnis-8842"


async def log_in(session: aiohttp.ClientSession, url: str) -> None:
    async with session.post(f"{url}/ui/login", data={"token": TOKEN}, headers={"Origin": url}) as page:
        assert page.status == 200, await page.text()


async def test_what_fails_is_seen_and_retried_in_the_ui(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(503))
    async with scene.bridge(
        [scene.webhook("crm", retry={"schedule": ["1h"]})], source, http={"admin_token": TOKEN}
    ) as bridge:
        await scene.queues.publish(source, [b'{"n":1}'])
        await until(lambda: bridge.history.statuses("crm") == {"RETRYING": 1}, what=bridge.last_words)
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            await log_in(session, bridge.url)
            async with session.get(f"{bridge.url}/ui/deliveries") as page:
                text = await page.text()
                assert "503" in text
            form = text.partition('"X-CSRF":"')[2] or text.partition("&#34;X-CSRF&#34;:&#34;")[2]
            csrf = form[:44]
            which = text.partition("panel=")[2][:36]
            async with session.get(f"{bridge.url}/ui/deliveries/{which}?request=1") as page:
                text = html.unescape(await page.text())
                assert "curl -X POST" in text
                assert scene.endpoint.url("/crm") in text
            path = f"{bridge.url}/ui/deliveries/{which}/retry"
            scene.endpoint.script("/crm", status(200))
            async with session.post(path, data={"csrf": csrf}, headers={"Origin": bridge.url}) as page:
                assert page.status == 200
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 1}, what=bridge.last_words)


async def test_a_bridge_without_ui_does_not_serve_it(scene: Scene):
    source = await scene.queue()
    http = {"admin_token": TOKEN, "ui": False}
    async with (
        scene.bridge([scene.webhook("crm")], source, http=http) as bridge,
        aiohttp.ClientSession() as session,
    ):
        async with session.get(f"{bridge.url}/ui/") as answer:
            assert answer.status == 404
        async with session.get(f"{bridge.url}/health/live") as answer:
            assert answer.status == 200
