"""The live stream: counters of topics, for whoever is logged in."""

import asyncio

import aiohttp
import pytest

from bridge.ui import live
from tests.support.records import delivered
from tests.support.ui import Browser, browsing
from tests.support.waiting import until


async def stream(browser: Browser) -> aiohttp.ClientResponse:
    cookie = {"Cookie": f"bridge_session={browser.cookies.get('bridge_session', '')}"}
    return await browser.session.get(f"{browser.url}/ui/live", headers=cookie, allow_redirects=False)


async def next_frame(answer: aiohttp.ClientResponse, topic: str) -> str:
    async with asyncio.timeout(10):
        async for line in answer.content:
            if line.startswith(f"data: {topic} ".encode()):
                return line.decode()
    raise AssertionError(topic)


async def test_a_change_grows_the_counter_of_its_topic_and_tells_nothing_else(history):
    async with browsing(history) as browser:
        await browser.login()
        async with await stream(browser) as answer:
            assert answer.headers["Content-Type"] == "text/event-stream"
            assert answer.headers["X-Accel-Buffering"] == "no"
            before = await next_frame(answer, "deliveries")
            assert await history.commit([delivered()]) == []
            after = await next_frame(answer, "deliveries")
            assert int(after.split()[2]) > int(before.split()[2])


async def test_who_has_no_locks_polls_the_same_counters(history):
    async with browsing(history) as browser:
        await browser.login()
        assert '"deliveries": ' in (await browser.get("live/now")).text


async def test_nobody_listens_without_a_session_and_a_stream_ends_with_its_token(history):
    async with browsing(history) as browser:
        async with await stream(browser) as answer:
            assert answer.status == 303
        made = await browser.api.client.send("POST", "/tokens", {"name": "vera", "role": "viewer"})
        await browser.login(made.body["token"])
        async with await stream(browser) as answer:
            await next_frame(answer, "deliveries")
            await browser.api.client.send("DELETE", "/tokens/vera")
            async with asyncio.timeout(5):
                await answer.content.read()


async def test_too_many_streams_are_refused_with_when_to_try_again(history, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "MOST_STREAMS", 1)
    async with browsing(history) as browser:
        await browser.login()
        async with await stream(browser) as first, await stream(browser) as second:
            assert (first.status, second.status) == (200, 503)
            assert second.headers["Retry-After"] == "5"


async def test_a_stream_whose_browser_has_gone_makes_room_although_nothing_is_to_be_told(
    history, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(live, "MOST_STREAMS", 1)

    async def there_is_room() -> bool:
        async with await stream(browser) as another:
            return another.status == 200

    async with browsing(history) as browser:
        await browser.login()
        async with await stream(browser) as answer:
            await next_frame(answer, "state")
        await until(there_is_room, live.EVERY * 5)


async def test_the_server_stops_although_somebody_listens(history):
    async with browsing(history) as browser:
        await browser.login()
        async with await stream(browser) as answer:
            await next_frame(answer, "state")
            async with asyncio.timeout(4):
                await browser.api.server.stop()
