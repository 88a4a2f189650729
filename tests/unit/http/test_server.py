"""Health, metrics, errors and sockets of the HTTP server."""

import asyncio
import io
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry

from bridge.core.errors import ListenFailed
from bridge.http.documents import problem
from bridge.http.health import Health
from bridge.http.server import HttpServer
from bridge.settings.tree import Http
from bridge.telemetry.metrics import Metrics


async def bug(_: web.Request) -> web.Response:
    raise RuntimeError("secret detail")


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


class Running:
    def __init__(self, server: HttpServer, health: Health, session: aiohttp.ClientSession) -> None:
        self.server, self.health, self.session = server, health, session

    async def get(
        self, path: str, *, on: str = "http", method: str = "GET", **more: Any
    ) -> tuple[int, Any, str]:
        url = self.server.addresses[on] + path
        async with self.session.request(method, url, **more) as answer:
            body = await answer.read()
            kind = answer.content_type
            return answer.status, json.loads(body) if kind.endswith("json") else body.decode(), kind


@asynccontextmanager
async def running(settings: Http, status: Callable[[], dict[str, Any]] = dict) -> AsyncIterator[Running]:
    registry = CollectorRegistry()
    Metrics(registry)
    health = Health(status)
    routes = [web.get("/bug", bug), web.post("/echo", echo)]
    server = HttpServer(settings, health, registry, inlets=[web.post("/in/x", echo)], admin=routes)
    await server.start()
    try:
        async with aiohttp.ClientSession() as session:
            yield Running(server, health, session)
    finally:
        await server.stop()


LOCAL = Http(listen="127.0.0.1:0")


async def test_live_is_always_200():
    async with running(LOCAL) as at:
        assert (await at.get("/health/live"))[0] == 200


async def test_ready_is_503_before_the_start_and_after_the_end_and_tells_the_state():
    state = {"broker": {"consume": "up"}, "database": "down"}
    async with running(LOCAL, lambda: state) as at:
        assert (await at.get("/health/ready"))[:2] == (503, {"ready": False, **state})
        at.health.serving()
        assert (await at.get("/health/ready"))[:2] == (200, {"ready": True, **state})
        at.health.ending()
        assert (await at.get("/health/ready"))[0] == 503


async def test_metrics_are_in_the_text_format():
    async with running(LOCAL) as at:
        status, body, kind = await at.get("/metrics")
        assert (status, kind) == (200, "text/plain")
        assert "# TYPE bridge_build_info gauge" in body


async def test_what_does_not_exist_is_a_problem():
    async with running(LOCAL) as at:
        status, body, kind = await at.get("/nope?secret=1")
        assert (status, kind) == (404, "application/problem+json")
        assert body == {
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "detail": "there is nothing at /nope",
        }


async def test_a_wrong_method_is_a_problem_that_names_the_right_ones():
    async with running(LOCAL) as at:
        status, body, kind = await at.get("/health/live", method="DELETE")
        assert (status, kind) == (405, "application/problem+json")
        assert body["detail"] == "DELETE is not allowed here; allowed: GET, HEAD"


async def test_a_body_that_is_too_large_is_a_problem():
    async with running(LOCAL) as at:
        status, _, kind = await at.get("/echo", method="POST", data=io.BytesIO(b"x" * (16 * 1024 * 1024 + 1)))
        assert (status, kind) == (413, "application/problem+json")


async def test_a_bug_is_a_problem_without_its_text():
    async with running(LOCAL) as at:
        status, body, kind = await at.get("/bug")
        assert (status, kind) == (500, "application/problem+json")
        assert "secret" not in str(body)


async def test_answers_do_not_tell_which_software_serves_them():
    async with running(LOCAL) as at, at.session.get(f"{at.server.addresses['http']}/health/live") as answer:
        assert answer.headers["Server"] == "amqp-bridge"


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Token: s3cr3t\x01\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_one_line_of_the_log_that_repeats_none_of_it(request_):
    with structlog.testing.capture_logs() as lines:
        async with running(LOCAL) as at:
            host, port = at.server.addresses["http"].removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(request_)
            assert (await reader.read()).startswith(b"HTTP/1.0 400 ")
            writer.close()
    (line,) = [line for line in lines if line["event"] != "http.listening"]
    assert (line["event"], line["log_level"], line["remote"]) == ("http.malformed", "info", "127.0.0.1")
    assert "s3cr3t" not in str(line)


async def test_more_headers_than_a_message_can_carry_still_reach_who_answers():
    many = {f"X-{number}": "v" for number in range(250)}
    async with running(LOCAL) as at:
        assert (await at.get("/echo", method="POST", headers=many))[0] == 200
        assert (await at.get("/echo", method="POST", headers=many | {f"Y-{n}": "v" for n in range(100)}))[
            0
        ] == 400


async def test_with_an_admin_socket_only_inlets_and_health_answer_on_the_first():
    async with running(Http(listen="127.0.0.1:0", admin_listen="127.0.0.1:0")) as at:
        assert at.server.addresses["http"] != at.server.addresses["admin"]
        for path, method, status in (
            ("/health/live", "GET", 200),
            ("/in/x", "POST", 200),
            ("/metrics", "GET", 404),
            ("/echo", "POST", 404),
        ):
            assert (await at.get(path, method=method))[0] == status
            assert (await at.get(path, method=method, on="admin"))[0] == 200


async def test_an_ipv6_address_is_shown_in_brackets():
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    async with running(Http(listen="[::1]:0")) as at:
        assert at.server.addresses["http"].startswith("http://[::1]:")
        assert (await at.get("/health/live"))[0] == 200


async def test_a_port_in_use_is_one_clear_line_and_leaves_nothing_open():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Http(listen="127.0.0.1:0", admin_listen=f"127.0.0.1:{port}")
        server = HttpServer(settings, Health(dict), CollectorRegistry())
        with pytest.raises(ListenFailed) as caught:
            await server.start()
        assert str(caught.value) == (
            f"cannot listen on 127.0.0.1:{port} (http.admin_listen): "
            "another program listens there; stop it or choose another port"
        )
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(server.addresses["http"])


async def test_an_address_of_another_machine_is_one_clear_line():
    server = HttpServer(Http(listen="192.0.2.1:0"), Health(dict), CollectorRegistry())
    with pytest.raises(ListenFailed, match="this machine has no such address"):
        await server.start()


async def test_a_problem_may_carry_more_members():
    body = json.loads(problem(422, "no", errors=[{"path": "a"}]).body or b"")  # type: ignore[arg-type]
    assert body["errors"] == [{"path": "a"}]
