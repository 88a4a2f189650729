"""What an attempt comes to: judged URL by URL, bounded in time, never past the address gate."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.delivery import Answer, Fault
from tests.support.notifying import event, notify
from tests.support.services import Services, answer, running, silence
from tests.support.waiting import until


@pytest.fixture
async def services() -> AsyncIterator[Services]:
    async with running() as services:
        yield services


async def once(services: Services, *names: str, **settings: Any) -> Answer:
    target = notify(*(services.url(name) for name in names), services=services, **settings)
    return await target.attempt(event())


# ---- one URL ----------------------------------------------------------------------------------------------


async def test_the_code_and_the_answer_of_a_failure_are_told(services: Services) -> None:
    services.plan("discord", answer(404, '{"message": "Unknown Webhook", "code": 10015}'))
    found = await once(services, "discord")
    assert (found.fault, found.code, found.lasting, found.done) == (Fault.STATUS, 404, False, ())
    assert found.error == 'urls[0] (discord): answered 404: {"message": "Unknown Webhook", "code": 10015}'
    assert found.response.startswith(b'{"message"')


@pytest.mark.parametrize(
    ("service", "told", "wait"),
    [
        ("discord", answer(429, '{"retry_after": 0.75, "global": false}'), 0.75),
        ("discord", answer(429, '{"retry_after": 0.75}', Retry_After="3"), 3.0),
        ("tgram", answer(429, '{"ok": false, "parameters": {"retry_after": 7}}'), 7.0),
        ("slack", answer(429, "ratelimited", Retry_After="30"), 30.0),
        ("ntfy", answer(429, "[1]"), None),
        ("pover", answer(503, "", Retry_After="5"), 5.0),
    ],
)
async def test_a_service_that_asks_to_wait_is_asked_once(
    services: Services, service: str, told: object, wait: float | None
) -> None:
    services.plan(service, told, told)  # type: ignore[arg-type]
    found = await once(services, service)
    assert (found.fault, found.retry_after) == (Fault.STATUS, wait)
    assert len(services.requests) == 1


async def test_rate_headers_of_discord_do_not_make_the_next_message_sleep(services: Services) -> None:
    reset = str(int(time.time()) + 3600)
    services.plan("discord", answer(204, X_RateLimit_Remaining="0", X_RateLimit_Reset=reset))
    target = notify(services.url("discord"), services=services)
    for _ in range(3):
        assert (await target.attempt(event())).fault is None


async def test_two_hundred_without_the_word_ok_is_no_success_at_slack(services: Services) -> None:
    services.plan("slack", answer(200, "invalid_blocks"))
    found = await once(services, "slack")
    assert (found.fault, found.code) == (Fault.STATUS, 200)
    assert "did not confirm it: invalid_blocks" in found.error


async def test_a_key_that_the_apprise_api_does_not_know_is_no_success(services: Services) -> None:
    found = await notify(services.url("apprise").replace("/ops", "/other")).attempt(event())
    assert (found.fault, found.code) == (Fault.STATUS, 204)


async def test_a_redirect_is_not_followed(services: Services) -> None:
    services.plan("ntfy", answer(307, Location="/json"))
    found = await once(services, "ntfy")
    assert (found.fault, found.code, found.lasting) == (Fault.REDIRECT, 307, True)
    assert [name for name, _ in services.requests] == ["ntfy"]


async def test_gone_is_told_as_it_is_for_the_hook_to_pause(services: Services) -> None:
    services.plan("slack", answer(410, "channel_is_archived"))
    found = await once(services, "slack")
    assert (found.fault, found.code) == (Fault.STATUS, 410)


async def test_nobody_there_and_no_such_name_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    assert (await notify(f"json://127.0.0.1:{port}/").attempt(event())).fault is Fault.REFUSED
    assert (await notify("json://no-such-host.invalid/").attempt(event())).fault is Fault.DNS


async def test_a_server_without_tls_is_a_tls_fault(services: Services) -> None:
    found = await notify(services.url("json").replace("json:", "jsons:")).attempt(event())
    assert found.fault is Fault.TLS


async def test_an_event_without_the_field_is_a_fault_of_content(services: Services) -> None:
    found = await once(services, "ntfy", body="{{ event.data.nothing }}")
    assert (found.fault, found.lasting) == (Fault.CONTENT, True)
    assert services.requests == []


async def test_an_empty_message_is_a_fault_of_content(services: Services) -> None:
    found = await once(services, "ntfy", body="{{ event.data.title }}")
    assert (found.fault, found.lasting, found.error) == (Fault.CONTENT, True, "title and body are both empty")


# ---- several URLs -----------------------------------------------------------------------------------------


async def test_who_has_it_is_not_told_again(services: Services) -> None:
    target = notify(services.url("ntfy"), services.url("discord"), services.url("json"), services=services)
    services.plan("discord", answer(503))
    first = await target.attempt(event())
    assert (first.fault, first.code, first.lasting) == (Fault.PARTIAL, None, False)
    assert first.error.startswith("urls[1] (discord): answered 503")
    assert len(first.done) == 2
    assert all(token and not any(map(str.isspace, token)) for token in first.done)
    again = replace(event(), done=first.done)
    services.plan("discord", answer(500))
    second = await target.attempt(again)
    assert (second.fault, second.done) == (Fault.PARTIAL, first.done)
    third = await target.attempt(replace(event(), done=second.done))
    assert (third.fault, len(third.done)) == (None, 3)
    assert {name: len(posts) for name, posts in services.posts.items()} == {
        "ntfy": 1,
        "json": 1,
        "discord": 1,
    }
    assert len(services.requests) == 5


async def test_of_a_long_message_the_pieces_that_arrived_are_not_sent_again(services: Services) -> None:
    target = notify(services.url("pover"), services=services, body="{{ event.data.text }}")
    text = " ".join(map(str, range(800)))
    delivery = event(text)
    # The first two pieces pass, the third meets an error.
    services.planned["pover"] = _passing(services, 2, answer(500))
    first = await target.attempt(delivery)
    assert (first.fault, len(first.done)) == (Fault.STATUS, 2)
    second = await target.attempt(replace(delivery, done=first.done))
    assert (second.fault, len(second.done)) == (None, 1)
    assert " ".join(post.text for post in services.posts["pover"]) == text


async def test_all_in_one_outage_are_an_outage(services: Services) -> None:
    for name in ("ntfy", "json"):
        services.plan(name, answer(503, Retry_After="9"))
    found = await once(services, "ntfy", "json")
    assert (found.fault, found.code, found.retry_after, found.done) == (Fault.STATUS, 503, 9.0, ())


async def test_what_is_for_good_waits_for_what_is_not(services: Services) -> None:
    services.plan("ntfy", answer(307, Location="/"))
    services.plan("json", answer(500))
    found = await once(services, "ntfy", "json")
    assert (found.fault, found.code, found.lasting) == (Fault.STATUS, 500, False)


async def test_what_is_for_good_alone_is_not_tried_again_when_the_others_have_it(services: Services) -> None:
    services.plan("ntfy", answer(410))
    found = await once(services, "ntfy", "json")
    assert (found.fault, found.code, found.lasting) == (Fault.PARTIAL, None, True)


async def test_the_same_url_twice_is_told_twice(services: Services) -> None:
    found = await once(services, "json", "json")
    assert (found.fault, len(set(found.done)), len(services.posts["json"])) == (None, 2, 2)


# ---- the address gate -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "json://127.0.0.1:{port}/",
        "mqtt://127.0.0.1:{port}/t",
        "mailto://127.0.0.1:{port}?from=a@b.cz&to=c@d.cz",
    ],
)
async def test_a_private_address_is_not_dialled(url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        target = notify(url.format(port=server.getsockname()[1]), allow=())
        found = await target.attempt(event())
        assert (found.fault, found.lasting) == (Fault.BLOCKED_ADDRESS, False)
        assert "127.0.0.1 is loopback; not in http.allow_private_targets" in found.error
        with pytest.raises(BlockingIOError):
            server.accept()


async def test_a_name_that_leads_to_a_private_address_is_not_dialled(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The name server answers with a public address first and a private one when it matters.
    answers = iter(["93.184.216.34"])
    resolve = socket.getaddrinfo

    def rebind(host: str, *rest: object) -> object:
        if host == "rebind.example.net":
            host = next(answers, "127.0.0.1")
        return resolve(host, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", rebind)
    assert socket.getaddrinfo("rebind.example.net", 80)[0][4][0] == "93.184.216.34"
    found = await notify(f"json://rebind.example.net:{services.port}/json", allow=()).attempt(event())
    assert found.fault is Fault.BLOCKED_ADDRESS
    assert services.requests == []


async def test_proxies_of_the_environment_do_not_lead_past_the_gate(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert (await once(services, "json")).fault is None


# ---- time -------------------------------------------------------------------------------------------------


async def test_silence_ends_at_the_time_limit_and_its_thread_soon_after(services: Services) -> None:
    services.plan("ntfy", silence())
    started = time.monotonic()
    found = await once(services, "ntfy", "json", timeout=0.5)
    assert time.monotonic() - started < 1.5
    assert found.fault is Fault.PARTIAL
    assert "urls[0] (ntfy)" in found.error
    await until(lambda: not _threads())


async def test_a_server_that_drips_does_not_hold_its_thread() -> None:
    ended = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not reader.at_eof() and not writer.transport.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.02)
        writer.transport.abort()
        ended.set()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found = await notify(f"json://127.0.0.1:{port}/", timeout=0.5).attempt(event())
        assert found.fault is Fault.TIMEOUT
        await until(lambda: not _threads())
        await asyncio.wait_for(ended.wait(), 5)


async def test_while_half_of_the_threads_hang_nothing_new_is_started(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Name look-ups are what no time limit ends.
    stuck = threading.Event()
    resolve = socket.getaddrinfo

    def hang(host: str, *rest: object) -> object:
        if host == "slow.example.net":
            stuck.wait(20)
        return resolve("127.0.0.1", *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    target = notify(f"json://slow.example.net:{services.port}/json", timeout=0.3)
    for _ in range(2):
        assert "within the time limit" in (await target.attempt(event())).error
    refused = await target.attempt(event())
    assert (refused.fault, refused.error) == (
        Fault.TIMEOUT,
        "urls[0] (json): 2 earlier notifications of this hook still hang",
    )
    stuck.set()
    await until(lambda: not _threads())
    assert (await target.attempt(event())).fault is None
    await asyncio.wait_for(target.close(), 1)


def _threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("notify-")]


def _passing(services: Services, count: int, then: object) -> list:
    """Lets `count` requests through to the service before `then`."""

    class Plan(list):
        left = count

        def __bool__(self) -> bool:
            self.left -= 1
            return self.left == -1

    return Plan([then])
