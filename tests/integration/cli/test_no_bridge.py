"""What commands say where no bridge answers, or something else does."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.support.endpoint import Endpoint, open_endpoint, slow, status
from tests.support.remote_cli import command


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with open_endpoint() as opened:
        yield opened


def test_nobody_there_is_told_with_what_to_do(unused_tcp_port: int):
    told = command("hooks", "list", "--json", "--url", f"http://127.0.0.1:{unused_tcp_port}")
    assert (told.code, told.out) == (1, "")
    assert f"no bridge answers at http://127.0.0.1:{unused_tcp_port}" in told.err
    assert "BRIDGE_URL" in told.err
    assert "Traceback" not in told.err


async def test_something_else_there_is_told_apart(endpoint: Endpoint):
    endpoint.script("/api/v1/hooks", status(200, b"<html>", **{"Content-Type": "text/html"}))
    told = await asyncio.to_thread(command, "hooks", "list", "--url", endpoint.url(""))
    assert told.code == 1
    assert "that is no answer of a bridge" in told.err


async def test_a_redirect_is_not_followed_with_the_token(endpoint: Endpoint):
    endpoint.script("/api/v1/hooks", status(302, Location=endpoint.url("/elsewhere")))
    told = await asyncio.to_thread(command, "hooks", "list", "--url", endpoint.url(""), "--token", "secret")
    assert told.code == 1
    assert endpoint.received("/elsewhere") == []
    assert "secret" not in told.err


async def test_when_to_try_again_is_said(endpoint: Endpoint):
    problem = json.dumps(
        {"type": "about:blank", "title": "x", "status": 503, "detail": "gone", "request_id": "r-1"}
    )
    kind = {"Content-Type": "application/problem+json", "Retry-After": "7"}
    endpoint.script("/api/v1/audit", status(503, problem.encode(), **kind))
    told = await asyncio.to_thread(command, "audit", "--url", endpoint.url(""))
    assert told.code == 1
    assert "gone" in told.err
    assert "request id: r-1" in told.err
    assert "try again in 7 s" in told.err


async def test_hostile_texts_do_not_reach_the_terminal(endpoint: Endpoint):
    async def hook(_: object) -> web.Response:
        row = {
            "id": "x",
            "name": "\x1b]0;owned\x07",
            "target": {},
            "events": [],
            "managed_by": "api",
            "state": {},
        }
        return web.json_response({"items": [row], "next": None})

    endpoint.script("/api/v1/hooks", hook)
    told = await asyncio.to_thread(command, "hooks", "list", "--url", endpoint.url(""))
    assert told.code == 0
    assert "\x1b" not in told.out


async def test_completion_is_silent_and_quick_where_nothing_answers(endpoint: Endpoint):
    endpoint.script("/api/v1/hooks", slow(5.0))
    before = time.monotonic()
    env = {
        "_AMQP_BRIDGE_COMPLETE": "complete_bash",
        "COMP_WORDS": "amqp-bridge hooks pause c",
        "COMP_CWORD": "3",
        "BRIDGE_URL": endpoint.url(""),
    }
    told = await asyncio.to_thread(command, env=env)
    assert (told.code, told.out.strip(), told.err) == (0, "", "")
    assert time.monotonic() - before < 3
