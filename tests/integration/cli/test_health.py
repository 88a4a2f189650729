"""`amqp-bridge health` asks a bridge's HTTP server, finds its address, and costs little."""

import asyncio
import os
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from bridge.cli.health import USUAL, address, quick
from bridge.http.health import Health
from bridge.http.server import HttpServer
from bridge.settings.loading import load_with_places
from bridge.settings.tree import Http
from bridge.terminal.client import listening
from tests.support.command import Ended, amqp_bridge
from tests.support.endpoint import open_endpoint, status

PROGRAM = "from bridge.cli import main; main()"
WELL: Mapping[str, Any] = {"status": "ok", "database": "up", "broker": {"publish": "up"}, "consumers": {}}


@dataclass(frozen=True)
class Server:
    health: Health
    url: str


@asynccontextmanager
async def serving(state: Mapping[str, Any] = WELL) -> AsyncIterator[Server]:
    health = Health(lambda: state)
    server = HttpServer(Http(listen="127.0.0.1:0"), health, CollectorRegistry())
    await server.start()
    try:
        yield Server(health, server.addresses["http"])
    finally:
        await server.stop()


async def ask(folder: Path, *arguments: str, **env: str) -> Ended:
    """What the command says, started as a program of its own, while the server of the test answers."""
    return await asyncio.to_thread(_ask, folder, arguments, env)


def _ask(folder: Path, arguments: tuple[str, ...], env: dict[str, str]) -> Ended:
    root = Path(__file__).parents[3]
    bare = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root), "LANG": "C.UTF-8", "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "health", *arguments],
        cwd=folder,
        env=bare | env,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


async def test_a_bridge_is_live_before_it_is_ready_and_ready_once_it_serves(tmp_path: Path):
    async with serving() as server:
        assert await ask(tmp_path, "--live", "--url", server.url) == Ended(0, f"live: {server.url}\n", "")
        early = await ask(tmp_path, f"--url={server.url}")
        assert early.code == 1
        assert early.err == f"error: the bridge at {server.url} is not ready: ok\n"
        server.health.serving()
        assert await ask(tmp_path, "--url", server.url) == Ended(0, f"ready: {server.url}, ok\n", "")


async def test_a_ready_bridge_tells_what_is_not_as_it_should_be(tmp_path: Path):
    state = {
        "status": "degraded",
        "database": "down",
        "broker": {"publish": "up", "consume": "down"},
        "consumers": {"orders": "connecting", "other": "consuming"},
        "broken_hooks": {"count": 2, "reasons": {}},
        "problems": ["the broker refuses the login"],
    }
    async with serving(state) as server:
        server.health.serving()
        told = await ask(tmp_path, "--ready", "--url", server.url)
    assert told.code == 0
    assert told.out.partition(", degraded: ")[2] == (
        "database down, broker down (consume), source orders connecting, broken hooks: 2, the broker refuses the login\n"
    )


async def test_waiting_ends_as_soon_as_the_bridge_is_ready(tmp_path: Path):
    async with serving() as server:
        waiting = asyncio.create_task(ask(tmp_path, "--wait", "30s", "--url", server.url))
        live = await ask(tmp_path, "--live", "--url", server.url)
        assert live.code == 0
        server.health.serving()
        assert (await waiting).code == 0


async def test_waiting_ends_with_the_last_answer_when_the_time_is_over(tmp_path: Path, unused_tcp_port: int):
    told = await ask(tmp_path, "--wait", "1s", "--url", f"127.0.0.1:{unused_tcp_port}")
    assert told.code == 1
    assert told.err == f"error: no bridge answers at http://127.0.0.1:{unused_tcp_port}: Connection refused\n"


async def test_another_server_is_not_taken_for_a_bridge(tmp_path: Path):
    async with open_endpoint() as endpoint:
        endpoint.script("/health/ready", status(200, b"<html>"))
        told = await ask(tmp_path, "--url", endpoint.url(""))
    assert told.code == 1
    assert "that is no answer of a bridge" in told.err


async def test_the_address_is_that_of_the_settings(tmp_path: Path):
    async with serving() as server:
        server.health.serving()
        listen = server.url.removeprefix("http://")
        (tmp_path / "bridge.yaml").write_text(f'http: {{listen: "{listen}"}}\n')
        other = tmp_path / "other.yaml"
        other.write_text('http: {listen: "${LISTEN}"}\n')
        assert (await ask(tmp_path)).code == 0
        assert (await ask(tmp_path, "-c", str(other), LISTEN=listen)).code == 0
        assert (await ask(tmp_path, BRIDGE_CONFIG=str(other), BRIDGE_HTTP__LISTEN=listen)).code == 0
        assert (await ask(tmp_path, BRIDGE_URL=server.url, BRIDGE_CONFIG=str(other), LISTEN=":1")).code == 0


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:81", ":82", "[::]:83", "127.0.0.1:84", "[::1]:85", "bridge.internal:86", "${NAME}:87"]
)
@pytest.mark.parametrize("place", ["file", "variable", "secret", "section", "file of variables"])
def test_the_address_is_the_one_that_the_bridge_reads_from_the_same_place(
    tmp_path: Path, listen: str, place: str
):
    file = tmp_path / "bridge.yaml"
    written = f'{{listen: "{listen}"}}'
    file.write_text(f"http: {written if place == 'file' else '{}'}\n")
    env = {"BRIDGE_SECRETS_DIR": str(tmp_path), "NAME": "here"}
    value = listen.replace("${NAME}", "here")
    match place:
        case "variable":
            env["BRIDGE_HTTP__LISTEN"] = value
        case "secret":
            (tmp_path / "BRIDGE_HTTP__LISTEN").write_text(f"{value}\n")
        case "section":
            env["BRIDGE_HTTP"] = f'{{"listen": "{value}"}}'
        case "file of variables":
            variables = tmp_path / "variables"
            variables.write_text(f"BRIDGE_HTTP__LISTEN={value}\n")
            env["BRIDGE_ENV_FILE"] = str(variables)
    loaded = load_with_places(file, env, sections={"http"}).sound().http.listen
    assert address(file, env) == listening(loaded)


def test_without_settings_the_address_is_the_default_one():
    assert Http().listen == USUAL
    assert address(None, {"BRIDGE_SECRETS_DIR": "/nowhere"}) == f"http://{USUAL}"


async def test_settings_that_cannot_be_read_are_wrong_usage(tmp_path: Path):
    for text in ("http: [", "http: {listen: here}", "http: 7", "http: {listen: ':0'}"):
        (tmp_path / "bridge.yaml").write_text(text)
        told = await ask(tmp_path)
        assert told.code == 2, told
        assert told.err.startswith("error: ")
        assert "Traceback" not in told.err


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--wait"],
        ["--wait", "soon"],
        ["--wait", "-1s"],
        ["--wait", "8d"],
        ["--live=yes"],
        ["extra"],
        ["--url", ""],
    ],
)
def test_arguments_that_need_an_explanation_are_left_to_the_command_line(words: list[str]):
    assert quick(words) is None


def test_wrong_usage_is_explained_as_for_every_command(tmp_path: Path):
    for words in (["--wait", "soon"], ["--live", "--ready"], ["extra"], ["--url", "ftp://x"]):
        told = amqp_bridge("health", *words, cwd=tmp_path)
        assert told.code == 2, told


async def test_the_long_way_gives_the_same_answer(tmp_path: Path):
    async with serving() as server:
        server.health.serving()
        told = await asyncio.to_thread(amqp_bridge, "health", "--url", server.url, cwd=tmp_path)
    assert told == Ended(0, f"ready: {server.url}, ok\n", "")


async def test_a_question_costs_less_than_three_tenths_of_a_second_of_processor_time(tmp_path: Path):
    async with serving() as server:
        server.health.serving()
        (tmp_path / "bridge.yaml").write_text(f'http: {{listen: "{server.url.removeprefix("http://")}"}}\n')
        await ask(tmp_path)  # compiles what it imports
        costs = []
        for _ in range(3):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            assert (await ask(tmp_path)).code == 0
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            costs.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(costs) < 0.3, costs


def test_neither_typer_nor_pydantic_is_imported_for_a_question(tmp_path: Path, unused_tcp_port: int):
    (tmp_path / "bridge.yaml").write_text(f'http: {{listen: ":{unused_tcp_port}"}}\n')
    program = f"import sys\ntry:\n    {PROGRAM}\nexcept SystemExit as end:\n    print(end.code, *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program, "health"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=True,
    )
    code, *modules = done.stdout.split()
    assert code == "1"
    assert not {"typer", "pydantic", "aiohttp", "asyncio", "httpx"} & set(modules)
