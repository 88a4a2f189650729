"""Webhooks through a forward proxy."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from bridge.core.delivery import Answer, Fault
from bridge.core.hook import Hook
from bridge.targets.factory import Targets
from tests.support.events import delivery
from tests.support.receiver import TLS, Conversation, answering, receiving, response, server_tls
from tests.support.token_endpoint import granting, token_endpoint

LOOPBACK = ["127.0.0.0/8"]


async def attempts(times: int, allowed: list[str], **settings: Any) -> list[Answer]:
    targets = Targets({}, allowed, Path("/"), lambda _: None)
    try:
        hook = Hook.model_validate({"name": "crm", "target": {"type": "webhook", "timeout": 10, **settings}})
        target = targets.build(hook)
        return [await target.attempt(delivery()) for _ in range(times)]
    finally:
        await targets.close()


async def tunnel(conversation: Conversation) -> None:
    """Answer CONNECT and pass bytes on in both directions."""
    request = await conversation.request()
    host, _, port = request.path.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    await conversation.send(b"HTTP/1.1 200 Connection established\r\n\r\n")

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                sink.write(data)
        sink.close()

    await asyncio.gather(pump(conversation.reader, writer), pump(reader, conversation.writer))


async def test_plain_http_goes_to_the_proxy_whole_and_over_one_connection() -> None:
    async with receiving(answering(response())) as proxy:
        url = "http://crm.example.net/in?x=1"
        through = f"http://user:pass@127.0.0.1:{proxy.port}"
        answers = await attempts(2, LOOPBACK, url=url, proxy=through)
    assert [answer.fault for answer in answers] == [None, None]
    assert proxy.connections == 1
    first, second = proxy.requests
    assert first.path == second.path == url
    assert first.headers["host"] == "crm.example.net"
    assert first.headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"
    assert first.body == b'{"a":1}'


async def test_https_goes_through_a_tunnel() -> None:
    async with (
        receiving(answering(response()), server_tls()) as receiver,
        receiving(tunnel) as proxy,
    ):
        answers = await attempts(
            2,
            LOOPBACK,
            url=receiver.url,
            proxy=f"http://user:pass@127.0.0.1:{proxy.port}",
            tls={"ca_bundle": str(TLS / "ca.pem")},
        )
        assert [answer.fault for answer in answers] == [None, None]
        assert receiver.connections == proxy.connections == 1
    (connect,) = proxy.requests
    assert (connect.method, connect.path) == ("CONNECT", f"127.0.0.1:{receiver.port}")
    assert connect.headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"
    assert all("proxy-authorization" not in request.headers for request in receiver.requests)


async def test_a_token_is_fetched_through_the_hooks_proxy() -> None:
    async with (
        receiving(answering(response()), server_tls()) as receiver,
        token_endpoint(tls=server_tls()) as tokens,
        receiving(tunnel) as proxy,
    ):
        auth = {"type": "oauth2", "token_url": tokens.url, "client_id": "a", "client_secret": "b"}
        answers = await attempts(
            2,
            LOOPBACK,
            url=receiver.url,
            auth=auth,
            proxy=f"http://127.0.0.1:{proxy.port}",
            tls={"ca_bundle": str(TLS / "ca.pem")},
        )
        assert [answer.fault for answer in answers] == [None, None]
        assert len(tokens.requests) == 1
    assert {request.method for request in proxy.requests} == {"CONNECT"}
    assert {request.path for request in proxy.requests} == {
        f"127.0.0.1:{tokens.receiver.port}",
        f"127.0.0.1:{receiver.port}",
    }


async def test_a_plain_token_endpoint_is_asked_of_the_proxy_as_a_whole_url() -> None:
    async with receiving(answering(granting("t1"))) as proxy:
        auth = {
            "type": "oauth2",
            "token_url": "http://id.example.net/token",
            "client_id": "a",
            "client_secret": "b",
        }
        through = f"http://127.0.0.1:{proxy.port}"
        await attempts(1, LOOPBACK, url="http://crm.example.net/", proxy=through, auth=auth)
    assert [request.path for request in proxy.requests] == [
        "http://id.example.net/token",
        "http://crm.example.net/",
    ]


async def test_a_proxy_that_refuses_is_named() -> None:
    async with receiving(answering(response(407))) as proxy:
        (answer,) = await attempts(
            1, LOOPBACK, url="https://crm.example.net/", proxy=f"http://u:hunter2@127.0.0.1:{proxy.port}"
        )
    assert (answer.fault, answer.error) == (Fault.CONNECTION, "the proxy answered 407")


async def test_the_gate_stands_before_the_proxy_too() -> None:
    async with receiving(answering(response())) as proxy:
        through = f"http://127.0.0.1:{proxy.port}"
        (answer,) = await attempts(1, [], url="http://crm.example.net/", proxy=through)
        assert answer.fault is Fault.BLOCKED_ADDRESS
        assert proxy.connections == 0


@pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:10.0.0.1]"])
async def test_a_private_address_is_not_asked_of_a_proxy(host: str) -> None:
    async with receiving(answering(response())) as proxy:
        (answer,) = await attempts(1, LOOPBACK, url=f"http://{host}/", proxy=f"http://127.0.0.1:{proxy.port}")
        assert answer.fault is Fault.BLOCKED_ADDRESS
        assert proxy.connections == 0


async def test_a_proxy_that_is_not_there_is_a_fault_of_the_proxy() -> None:
    (answer,) = await attempts(1, LOOPBACK, url="http://crm.example.net/", proxy="http://127.0.0.1:1")
    assert answer.fault is Fault.REFUSED
    assert answer.error.startswith("proxy ")
