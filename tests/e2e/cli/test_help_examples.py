"""Every example that --help shows does what it says, on a bridge that has what it speaks of."""

import gzip
import json
import os
import re
import shlex
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import typer

from bridge.cli.main import app
from bridge.terminal.groups import all_commands
from tests.e2e.cli.conftest import TOKEN
from tests.support.remote_cli import Commands
from tests.support.scene import Scene, open_scene
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(120)

SECRET = "whsec_" + "QUJD" * 8
MADE_UP = ("verify ", "doctor ", "replay cancel ", "topology ", "health --url ")
"""Examples with a signature, a broker or an address that is made up, of a replay that has ended, or of topology that is in
use: they may fail, but not for how they are written."""
ALSO_CALLED = {"replay start": "replay", "events explain": "explain"}
ENDLESS = {"run", "--watch", "watch", "--edit"}


def commands() -> dict[str, Any]:
    """Each command by its name."""
    return {" ".join(path): command for path, command in all_commands(typer.main.get_command(app))}


def examples() -> list[str]:
    """All example lines of all commands, each once, without what is said about them behind it."""
    found: dict[str, None] = {}
    for each in commands().values():
        text = re.sub(r"\\\n\s*", "", each.epilog or "")
        for line in re.findall(r"^  (\S.*amqp-bridge .*|amqp-bridge .*)$", text, re.MULTILINE):
            found[re.split(r"\s{3,}", line)[0]] = None
    return list(found)


def parts(example: str) -> Iterator[list[str]]:
    """The words of each program of a line, with what is redirected, and the signs between them."""
    lexer = shlex.shlex(example, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    for word in lexer:
        if word in {"|", "&&", ";"}:
            yield words
            words = []
        else:
            words.append(word)
    yield words


def ours(words: list[str]) -> list[str] | None:
    """The arguments, where the program is amqp-bridge."""
    if "amqp-bridge" not in words[:2]:
        return None
    return words[words.index("amqp-bridge") + 1 :]


EXAMPLES = examples()


def test_every_command_has_an_example():
    named = {" ".join(given[:2]) for each in EXAMPLES for words in parts(each) if (given := ours(words))}
    shown = named | {name.split()[0] for name in named}
    single = [name for name, each in commands().items() if not getattr(each, "commands", None)]
    assert [name for name in single if ALSO_CALLED.get(name, name) not in shown] == []


@dataclass
class World:
    """A bridge, and what stands for names and ids of the examples."""

    scene: Scene
    run: Commands
    words: dict[str, str]
    ids: dict[str, str]

    async def prepare(self, example: str) -> None:
        """The hooks and tokens that it speaks of are there, unless it makes them."""
        for name in ("crm", "billing", "php"):
            await self.run("hooks", "delete", name, "--yes")
        for name in ("grafana", "night-shift"):
            await self.run("tokens", "revoke", name, "--yes")
        if "hooks create" not in example:
            for name in ("crm", "billing"):
                url = self.scene.endpoint.url(f"/{name}")
                create = ("hooks", "create", "--name", name, "--to", url, "--secret-file", "secret")

                async def is_made(create: tuple[str, ...] = create) -> bool:
                    # The name is taken for as long as the deletion of its last bearer takes.
                    return (await self.run(*create)).code == 0

                await until(is_made, 30)
        if "tokens revoke" in example:
            await self.run.done("tokens", "create", "grafana", "--role", "viewer")

    async def told(self, words: list[str], stdin: bytes) -> tuple[int, bytes, str]:
        """What one of our commands does, files that are redirected included."""
        arguments = [self.meant(word, words) for word in words]
        into: Path | None = None
        if "<" in arguments:
            at = arguments.index("<")
            stdin = content(arguments[at + 1])
            del arguments[at : at + 2]
        if ">" in arguments:
            at = arguments.index(">")
            into = Path(arguments[at + 1])
            del arguments[at : at + 2]
        variables = dict.fromkeys(("CRM_SECRET", "SPLYNX_SECRET", "PHLIX_SECRET"), SECRET)
        variables["NEW_SECRET"] = "whsec_" + "REVG" * 8
        told = await self.run(*arguments, stdin=stdin, **variables)
        if into is not None:
            into.write_bytes(told.raw)
        return told.code, told.raw, told.err

    def meant(self, word: str, words: list[str]) -> str:
        """What a placeholder stands for."""
        if word == "ID" or re.fullmatch(r"[0-9a-f]{8}-[0-9a-f-]+", word):
            return self.ids[words[0]]
        return self.words.get(word, word.replace("whsec_...", SECRET))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(amqp_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """In the bridge's own folder, with all files that examples name."""
    folder, before = tmp_path_factory.mktemp("help"), Path.cwd()
    async with open_scene(amqp_url, folder) as scene:
        queues = {name: await scene.queue(name) for name in ("hooks2", "my queue")}
        dimensions = {name: f"event.data.{name}" for name in ("user", "duration", "customer")}
        sources = [
            {"name": "splynx", "queue": queues["hooks2"]},
            {"name": "phlix", "queue": await scene.queue("phlix"), "dimensions": dimensions},
        ]
        async with scene.bridge(
            [scene.webhook("base")], sources, http={"admin_token": TOKEN, "allow_scripts": True}
        ) as bridge:
            await scene.queues.publish(queues["hooks2"], [b'{"n":1}'])
            await until(lambda: bridge.history.statuses("base")["SUCCESS"] == 1, what=bridge.last_words)
            write_files(folder)
            os.chdir(folder)
            run = Commands(bridge.url, TOKEN)
            words = {**queues, "amqp://guest:guest@127.0.0.1/": amqp_url}
            world = World(scene, run, words, await ids(run))
            await world.prepare("")
            yield world
            os.chdir(before)


def write_files(folder: Path) -> None:
    event = {"type": "event", "data": {"model": "models\\a\\B", "action": "edit"}}
    hook = {"name": "crm", "target": {"type": "webhook", "url": "https://crm.example.net/in"}}
    message = {"body": json.dumps(event), "headers": {"a": 1}, "source": "splynx"}
    texts: dict[str, Any] = dict.fromkeys(("event.json", "body.json", "body", "fixed.json"), event)
    texts |= {
        "message.json": message,
        "hook.yaml": hook,
        "hook.json": hook,
        "changes.yaml": {"concurrency": 3},
    }
    for name, value in texts.items():
        (folder / name).write_text(json.dumps(value))
    for name, text in (
        ("secret", SECRET),
        ("key", "k" * 32),
        ("headers", "X-Sig: t=1,v1=00\n"),
        ("ids.txt", ""),
    ):
        (folder / name).write_text(text)
    (folder / "events.ndjson.gz").write_bytes(gzip.compress(json.dumps(event).encode() + b"\n"))


async def ids(run: Commands) -> dict[str, str]:
    """By the first word of a command."""
    delivery = (await run.json("deliveries", "list"))["items"][0]
    replay = await run.json("replay", "--hook", "base", "--status", "SUCCESS", "--detach")
    event = delivery["event_id"]
    return {
        "deliveries": delivery["id"],
        "events": event,
        "explain": event,
        "find": event,
        "replay": replay["id"],
        "quarantine": event,
    }


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.asyncio(loop_scope="module")
async def test_an_example_does_what_it_says(world: World, example: str):
    changes = re.search(r"amqp-bridge (hooks|tokens) (?!list|show|stats|me)", example) is not None
    if changes:
        await world.prepare(example)
    try:
        await run(world, example)
    finally:
        if changes:
            await world.prepare("")


async def run(world: World, example: str) -> None:
    out = b""
    for words in parts(example):
        arguments = ours(words)
        if arguments is None:
            out = foreign(words)
        elif ENDLESS & set(arguments):
            parsed(arguments)
        else:
            code, out, err = await world.told(arguments, out)
            missing = "quarantine" in arguments and code == 1  # nothing has gone there under that id
            assert code == 0 or missing or (code == 1 and " ".join(arguments).startswith(MADE_UP)), err


def content(file: str) -> bytes:
    return Path(file).read_bytes()


def foreign(words: list[str]) -> bytes:
    """What a program of others would hand on; of what jq finds, nothing is left."""
    if words[0] == "zcat":
        return gzip.decompress(Path(words[1]).read_bytes())
    return b"" if words[0] == "jq" else b'{"n":1}'


def parsed(arguments: list[str]) -> None:
    """It goes on for ever, or asks a person, so it is only taken apart; raises UsageError."""
    command: Any
    command, given = typer.main.get_command(app), [word for word in arguments if word != "ID"]
    while given and given[0] in getattr(command, "commands", {}):
        command, given = command.load(given[0]), given[1:]
    command.make_context("example", [*given, "x"] if "watch" in arguments else given)
