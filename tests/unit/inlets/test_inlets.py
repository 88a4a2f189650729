"""How inlets answer, whatever is sent to them."""

import asyncio
import hashlib
import hmac
import io
import json
import socket
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.errors import PublishFailed, PublishTooLarge
from bridge.inlets.message import Room
from tests.support.inlet_server import Kept, serving
from tests.support.inlets import BODY, TIKI, signed_by_each, three_bad
from tests.support.waiting import until

OPEN = {"name": "open", "open": True}


async def spoken(url: str, *parts: bytes) -> bytes:
    """What the server answers to these bytes before it closes the connection, or waits for more."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for part in parts:
        writer.write(part)
        await writer.drain()
    try:
        return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    finally:
        writer.close()


async def test_the_first_verifier_that_accepts_tells_the_identity():
    async with serving([TIKI], kept := Kept()) as served:
        for headers in signed_by_each().values():
            answer = await served.sender.send("/in/tiki", headers)
            assert (answer.status, answer.text) == (200, "ok")
            assert answer.headers["Content-Type"].startswith("text/plain")
    identities = [message.headers["x-bridge-inlet"]["identity"] for message in kept.messages]
    assert identities == list(signed_by_each())


async def test_what_no_verifier_accepts_is_forbidden_without_a_hint():
    async with serving([TIKI], kept := Kept()) as served:
        answers = [await served.sender.send("/in/tiki", headers) for headers in [*three_bad(), {}]]
        assert served.counted("tiki", "refused") == 4
    assert {answer.status for answer in answers} == {403}
    assert len({answer.text for answer in answers}) == 1
    assert kept.messages == []


async def test_a_changed_body_is_forbidden():
    async with serving([TIKI], kept := Kept()) as served:
        for user in ("crm-bot", "shop", "forge", "payments"):
            answer = await served.sender.send("/in/tiki", signed_by_each()[user], BODY + b" ")
            assert answer.status == 403
    assert kept.messages == []


@pytest.mark.parametrize("fault", [PublishFailed("no broker"), TimeoutError()])
async def test_what_the_broker_does_not_confirm_is_503_with_a_time_to_come_back(fault: Exception):
    kept = Kept()
    kept.fault = fault
    async with serving([OPEN], kept) as served:
        answer = await served.sender.send("/in/open")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        kept.fault = None
        assert (await served.sender.send("/in/open")).status == 200


async def test_a_publish_that_takes_too_long_is_cancelled_within_the_inlets_timeout():
    cancelled = asyncio.Event()

    class Silent(Kept):
        async def publish(self, message):
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

    async with serving([OPEN | {"timeout": "50ms"}], Silent()) as served:
        answer = await served.sender.send("/in/open")
    assert answer.status == 503
    assert cancelled.is_set()


async def test_a_message_that_the_broker_cannot_hold_is_413():
    kept = Kept()
    kept.fault = PublishTooLarge("too large")
    async with serving([OPEN], kept) as served:
        assert (await served.sender.send("/in/open")).status == 413


@pytest.mark.parametrize(("inlet", "most_body"), [({"body": "1kB"}, 2**20), ({"body": "1MB"}, 1000)])
async def test_a_body_over_the_limit_is_413_and_one_at_the_limit_is_taken(inlet: dict, most_body: int):
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(1001):
            yield b"x"

    async with serving([OPEN | inlet], kept := Kept(), most_body=most_body) as served:
        for body in (b"x" * 1001, chunks()):
            answer = await served.sender.send("/in/open", body=body)
            assert (answer.status, answer.problem["detail"]) == (413, "the body is larger than 1000 bytes")
        assert (await served.sender.send("/in/open", body=b"x" * 1000)).status == 200
    assert len(kept.messages) == 1


async def test_a_body_that_is_announced_as_too_large_is_not_waited_for():
    async with serving([OPEN], Kept()) as served:
        head = b"POST /in/open HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n"
        assert b" 413 " in await spoken(served.sender.url, head + b"\r\n")
        assert b" 413 " in await spoken(served.sender.url, head + b"Expect: 100-continue\r\n\r\n")
        assert served.counted("open", "too_large") == 2


async def test_a_chunked_body_is_cut_off_at_the_limit():
    async with serving([OPEN | {"body": 10}], Kept()) as served:
        head = b"POST /in/open HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert b" 413 " in await spoken(served.sender.url, head, b"b\r\n01234567890\r\n")


async def test_a_body_that_is_expected_first_is_asked_for():
    async with serving([OPEN], kept := Kept()) as served:
        head = b"POST /in/open HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"
        assert b" 100 " in await spoken(served.sender.url, head)
        answer = await served.sender.send("/in/open", {"Expect": "100-continue"}, b"abc")
        assert answer.status == 200
    assert [message.body for message in kept.messages] == [b"abc"]


async def test_a_body_that_does_not_come_is_408():
    async with serving([OPEN], kept := Kept(), body_time=0.05) as served:
        head = b"POST /in/open HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
        assert b" 408 " in await spoken(served.sender.url, head, b"ab")
        assert served.counted("open", "too_slow") == 1
    assert kept.messages == []


async def test_a_body_that_breaks_off_is_no_event():
    async with serving([OPEN], kept := Kept()) as served:
        host, _, port = served.sender.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"POST /in/open HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")
        await until(lambda: served.counted("open", "malformed") == 1)
    assert kept.messages == []


async def test_chunks_that_are_none_are_400():
    async with serving([OPEN], kept := Kept()) as served:
        head = b"POST /in/open HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert b" 400 " in await spoken(served.sender.url, head, b"zz\r\nabc\r\n")
    assert kept.messages == []


async def test_more_requests_at_once_than_there_is_room_for_are_503():
    going_on = asyncio.Event()

    class Slow(Kept):
        async def publish(self, message):
            await going_on.wait()
            await super().publish(message)

    async with serving([OPEN | {"timeout": "20s"}], kept := Slow(), room=Room(requests=2)) as served:
        first = [asyncio.create_task(served.sender.send("/in/open")) for _ in range(2)]
        await until(lambda: served.room.requests == 2)
        answer = await served.sender.send("/in/open")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        going_on.set()
        assert [(await each).status for each in first] == [200, 200]
        assert (await served.sender.send("/in/open")).status == 200
        assert served.counted("open", "too_many") == 1
    assert len(kept.messages) == 3
    assert (served.room.requests, served.room.byte_count) == (0, 0)


async def test_bodies_together_take_no_more_than_there_is_room_for():
    going_on = asyncio.Event()

    class Slow(Kept):
        async def publish(self, message):
            await going_on.wait()

    async with serving([OPEN | {"timeout": "20s"}], Slow(), room=Room(byte_count=1000)) as served:
        first = asyncio.create_task(served.sender.send("/in/open", body=b"x" * 900))
        await until(lambda: served.room.byte_count == 900)
        assert (await served.sender.send("/in/open", body=b"x" * 200)).status == 503
        going_on.set()
        assert (await first).status == 200
        assert (await served.sender.send("/in/open", body=b"x" * 2000)).status == 200


async def test_other_methods_than_the_listed_ones_are_405():
    async with serving([OPEN | {"methods": ["post", "PUT"]}], kept := Kept()) as served:
        for method in ("GET", "OPTIONS", "HEAD"):
            answer = await served.sender.send("/in/open", method=method)
            assert (answer.status, answer.headers["Allow"]) == (405, "POST, PUT")
        assert (await served.sender.send("/in/open", method="PUT")).status == 200
    assert len(kept.messages) == 1


async def test_the_answer_is_what_the_sender_wants_to_hear():
    async with serving(
        [
            OPEN | {"name": "a", "success": 202, "answer": '{"accepted":true}'},
            OPEN | {"name": "b", "success": 204},
        ],
        Kept(),
    ) as served:
        first, second = await served.sender.send("/in/a"), await served.sender.send("/in/b")
    assert (first.status, first.text, second.status, second.text) == (202, '{"accepted":true}', 204, "")


async def test_splynx_gets_its_ping_answered_and_nobody_elses_body_is_taken_for_one():
    splynx = {"type": "splynx", "secret": "splynx-secret-1", "user": "splynx"}
    token = {"type": "token", "header": "X-Pass", "secret": "pass-1234"}
    ping, signed = b'{"type":"ping"}', {"X-Splynx-Signature": "cb4c1210a5237ba7f3c0cde9b7b1186d7409d8e0"}
    async with serving([{"name": "s", "verify": [splynx, token]}, TIKI], kept := Kept()) as served:
        for headers, body in (({}, ping), (signed, ping), ({}, b"type=ping")):
            answer = await served.sender.send("/in/s", headers, body)
            assert (answer.status, answer.text) == (200, "ok")
        assert kept.messages == []
        assert served.counted("s", "ping") == 3
        assert (await served.sender.send("/in/s", {}, b'{"type":"event"}')).status == 403
        assert (await served.sender.send("/in/tiki", {}, ping)).status == 403
        assert (await served.sender.send("/in/s", {"X-Pass": "pass-1234"}, ping)).status == 200
    assert [message.body for message in kept.messages] == [ping]


async def test_too_many_headers_are_431():
    async with serving([OPEN], kept := Kept()) as served:
        many = {f"X-Header-{number}": "v" for number in range(101)}
        large = {f"X-Header-{number}": "v" * 7000 for number in range(5)}
        for headers in (many, large):
            assert (await served.sender.send("/in/open", headers)).status == 431
    assert kept.messages == []


PATHS = (
    ("/in/open", 200), ("/in/open/", 404), ("/in/open/x", 404), ("/in/Open", 404), ("/in/%6fpen", 200),
    ("/in/", 404), ("/in/nobody", 404), ("//in/open", 404), ("/in/open?a=b", 200),
    ("/in/slash", 404), ("/a%2Fb.php", 200), ("/a%2fb.php", 200), ("/a/b.php", 404), ("/a%2Fb%2Ephp", 200),
    ("/below", 200), ("/below/", 200), ("/below/any/thing", 200), ("/belowed", 404), ("/below/exact", 200),
)  # fmt: skip


async def test_paths_are_matched_as_they_were_sent():
    inlets = [
        OPEN,
        OPEN | {"name": "slash", "path": "/a%2Fb.php"},
        OPEN | {"name": "below", "path": "/below/*"},
        OPEN | {"name": "exact", "path": "/below/exact"},
    ]
    async with serving(inlets, kept := Kept()) as served:
        for path, expected in PATHS:
            line = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
            assert f" {expected} ".encode() in await spoken(served.sender.url, line.encode()), path
    assert kept.messages[-1].headers["x-bridge-inlet"]["name"] == "exact"


async def test_the_type_comes_from_setting_header_and_path_in_this_order():
    inlets = [
        OPEN | {"name": "fixed", "event_type": "a.b", "event_type_header": "X-Event"},
        OPEN
        | {
            "name": "told",
            "path": "/told",
            "event_type_header": "X-Event",
            "event_type_path": True,
            "event_type_prefix": "github.",
        },
    ]
    async with serving(inlets, kept := Kept()) as served:
        for path, headers in (
            ("/in/fixed", {"X-Event": "push"}),
            ("/told/from/path", {"x-event": " push "}),
            ("/told/content/item//save%20it/?x=1", {}),
            ("/told/a.b", {"X-Event": ""}),
            ("/told", {}),
        ):
            assert (await served.sender.send(path, headers)).status == 200
    kinds = [message.like.type for message in kept.messages]
    assert kinds == ["a.b", "github.push", "github.content.item.save it", "github.a.b", None]
    assert [message.headers["x-bridge-inlet"].get("type") for message in kept.messages] == kinds


async def test_a_bridge_that_stops_accepts_nothing_more():
    async with serving([OPEN], kept := Kept()) as served:
        await served.inlets.close()
        answer = await served.sender.send("/in/open")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert kept.messages == []


async def test_a_body_that_ends_while_the_bridge_stops_is_not_accepted():
    async with serving([OPEN], kept := Kept()) as served:
        host, _, port = served.sender.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /in/open HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na")
        await until(lambda: served.room.byte_count == 1)
        await served.inlets.close()
        writer.write(b"b")
        assert b" 503 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        writer.close()
    assert kept.messages == []


async def test_large_bodies_are_verified_too():
    body = b"x" * 2_000_000
    signature = hmac.new(b"secret-1", body, hashlib.sha256).hexdigest()
    verify = {"type": "hex", "header": "X-Sig", "secret": "secret-1", "user": "shop"}
    async with serving([{"name": "big", "verify": [verify], "body": "3MB"}], kept := Kept()) as served:
        assert (await served.sender.send("/in/big", {"X-Sig": signature}, io.BytesIO(body))).status == 200
        assert (
            await served.sender.send("/in/big", {"X-Sig": signature}, io.BytesIO(body + b"y"))
        ).status == 403
    (message,) = kept.messages
    assert (message.body, message.headers["x-bridge-inlet"]["identity"]) == (body, "shop")


HEADER_VALUES = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x2FF, exclude_characters="\x7f"), max_size=40
)


@settings(max_examples=20, deadline=None)
@given(body=st.binary(max_size=300), value=HEADER_VALUES)
def test_nothing_that_is_sent_makes_it_fail(body: bytes, value: str):
    async def send() -> None:
        async with serving([TIKI, OPEN], Kept()) as served:
            names = ("Webhook-Signature", "X-Seal", "X-Pass", "X-Timed", "Authorization", "Content-Type")
            raw = b"".join(name.encode() + b": " + value.strip().encode("utf-8") + b"\r\n" for name in names)
            for path, expected in ((b"/in/tiki", b" 403 "), (b"/in/open", b" 200 ")):
                head = b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n" % (path, len(body))
                assert expected in await spoken(served.sender.url, head + raw + b"\r\n" + body)

    asyncio.run(send())


async def test_a_problem_names_its_status():
    async with serving([TIKI], Kept()) as served:
        answer = await served.sender.send("/in/tiki")
    assert json.loads(answer.text) == {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "detail": "Webhook not authorized.",
    }
