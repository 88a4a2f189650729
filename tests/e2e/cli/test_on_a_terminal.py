"""What people see on a terminal: tables that fit, screens that are redrawn, questions, bars."""

import asyncio
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from tests.e2e.cli.conftest import TOKEN, Operated
from tests.support.command import PROGRAM
from tests.support.terminal import on_terminal
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def surroundings(operated: Operated) -> dict[str, str]:
    """The environment of a command for this bridge."""
    return {"BRIDGE_URL": operated.bridge.url, "BRIDGE_TOKEN": TOKEN}


@pytest.mark.parametrize("width", [120, 60, 34])
async def test_a_list_fits_the_terminal(operated: Operated, width: int):
    async with on_terminal("hooks", "list", env=surroundings(operated), width=width) as terminal:
        assert await terminal.ended() == 0
        await terminal.shows("held")
        lines = _SEQUENCE.sub("", terminal.text).splitlines()
    assert max(cell_len(line.rstrip()) for line in lines) <= width


async def test_watching_redraws_and_ends_in_order_with_ctrl_c(operated: Operated):
    async with on_terminal("hooks", "list", "--watch", "0.2", env=surroundings(operated)) as terminal:
        await terminal.shows("Ctrl-C ends it")
        await operated.run.done("hooks", "pause", "crm", "--reason", "watched")
        await terminal.shows("paused (watched)")
        terminal.interrupt()
        assert await terminal.ended() == 0
    assert "Traceback" not in terminal.text
    await operated.run.done("hooks", "resume", "crm")


async def test_watching_as_json_is_one_document_a_line_of_what_is_new(operated: Operated):
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[3])}
    process = await asyncio.create_subprocess_exec(
        *(*PROGRAM, "hooks", "list", "--json", "-w", "0.1"),
        env=environment | surroundings(operated),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    async with asyncio.timeout(20):
        first = json.loads(await process.stdout.readline())
        await operated.run.done("hooks", "pause", "crm")
        second = json.loads(await process.stdout.readline())
        await operated.run.done("hooks", "resume", "crm")
        process.send_signal(signal.SIGINT)
        _, said = await process.communicate()
    assert {"crm", "held"} <= {hook["name"] for hook in first["items"]}
    assert [hook["name"] for hook in second["items"]] == ["crm"]
    assert (process.returncode, said) == (0, b"")


async def test_watching_a_list_in_a_pipe_prints_after_the_first_answer_new_rows_alone(operated: Operated):
    async def publish(*types: str) -> None:
        for name in types:
            await operated.run.done("events", "publish", "--type", name, "--body", "{}", "--source", "main")

    async def both() -> Any:
        return len((await operated.run.json("events", "list", "--limit", "2"))["items"]) == 2

    await publish("crm.before", "crm.first")
    await until(both)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[3])}
    process = await asyncio.create_subprocess_exec(
        *(*PROGRAM, "events", "list", "--limit", "1", "-w", "0.1"),
        env=environment | surroundings(operated),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    async with asyncio.timeout(20):
        start = [(await process.stdout.readline()).decode() for _ in range(3)]
        await publish("crm.later")
        new = (await process.stdout.readline()).decode()
        process.send_signal(signal.SIGINT)
        rest, _ = await process.communicate()
    assert start[0].startswith("id ")
    assert start[2].startswith("1 shown, ")
    assert " crm.later " in new
    assert b"shown" not in rest


async def test_deleting_asks_on_a_terminal_and_takes_no_for_an_answer(operated: Operated):
    url = operated.scene.endpoint.url("/asked")
    made = await operated.run.json("hooks", "create", "--name", "asked", "--to", url, "--events", "none.*")
    async with on_terminal("hooks", "delete", "asked", env=surroundings(operated)) as terminal:
        await terminal.shows("[y/N]")
        terminal.types("n\n")
        assert await terminal.ended() == 1
    assert (await operated.run.json("hooks", "show", made["id"]))["name"] == "asked"
    async with on_terminal(
        "hooks", "delete", "asked", "--lane", "drain", env=surroundings(operated)
    ) as terminal:
        await terminal.shows("[y/N]")
        terminal.types("y\n")
        assert await terminal.ended() == 0
    assert (await operated.run("hooks", "show", made["id"])).code == 1


async def test_ctrl_c_leaves_a_replay_running_and_says_how_to_go_on(operated: Operated):
    for number in range(3):
        body = json.dumps({"n": number})
        await operated.run.done(
            "events", "publish", "--source", "main", "--type", "held.slow", "--body", body
        )
    command = ("replay", "--hook", "held", "--status", "PENDING", "--rate", "1/m")
    async with on_terminal(*command, env=surroundings(operated)) as terminal:
        await terminal.shows("running")
        terminal.interrupt()
        assert await terminal.ended() == 130
        await terminal.shows("amqp-bridge replay cancel ")
    [replay] = (await operated.run.json("replay", "list", "--limit", "1"))["items"]
    assert replay["status"] == "running"
    assert (await operated.run.json("replay", "cancel", replay["id"]))["status"] == "cancelled"
