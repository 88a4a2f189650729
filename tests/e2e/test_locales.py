"""The encoding of a locale touches no data: not that of scripts, nor what commands print."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.bridge_process import BridgeProcess
from tests.support.command import amqp_bridge
from tests.support.scene import Scene
from tests.support.waiting import until

TYPE = "objednávka.ž😀"
FOLDER = "složka ž😀"
SCRIPT = """#!/bin/sh
{ printf '%s|%s|' "$BRIDGE_EVENT_TYPE" "$1"; cat; } > out
"""
ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.fixture(params=["ASCII", "ISO-8859-1"])
def locale(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Variables that make Python take another encoding than UTF-8 for all that it gets and gives."""
    if request.param == "ASCII":
        return ASCII
    if not shutil.which("localedef"):
        pytest.skip("no localedef to make a locale with")
    made = tmp_path / "locales" / "en_US.ISO-8859-1"
    made.parent.mkdir()
    subprocess.run(["localedef", "-i", "en_US", "-f", "ISO-8859-1", made], check=True)
    return {"LOCPATH": str(made.parent), "LC_ALL": made.name}


async def test_scripts_and_commands_have_text_as_it_is_in_any_locale(
    scene: Scene, locale: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    for name, text in locale.items():
        monkeypatch.setenv(name, text)
    monkeypatch.setenv("CITY", "Žižkov")
    scene.folder = scene.folder / FOLDER
    scene.folder.mkdir()
    program = scene.folder / "ž.sh"
    program.write_text(SCRIPT)
    program.chmod(0o755)
    hook = {
        "name": "php",
        "description": "für ${CITY} 😀",
        "target": {"type": "script", "command": ["./ž.sh", "${CITY} ž😀"], "stdin": "body"},
    }
    source = await scene.queue("zdroj ž")
    async with scene.prepared([hook], source, http={"admin_token": "tok-žž-en-1234567"}) as bridge:
        bridge.from_nothing = True
        await bridge.start()
        await scene.queues.publish(source, ["žluť 😀".encode()], message_type=TYPE)
        out = scene.folder / "out"
        await until(lambda: out.exists() and bridge.history.attempts("php"), what=bridge.last_words)
        assert out.read_text("utf-8") == f"{TYPE}|Žižkov ž😀|žluť 😀"
        commands_print_it(bridge, locale)
        assert (scene.folder / "bridge.db").exists()
        await bridge.stop()
        assert all(json.loads(line) for line in bridge.log_text.splitlines())


def commands_print_it(bridge: BridgeProcess, locale: dict[str, str]) -> None:
    """Each list, as a table and as JSON, and a command with an argument of such text."""
    env = {"PATH": os.environ["PATH"], "BRIDGE_URL": bridge.url, "BRIDGE_TOKEN": "tok-žž-en-1234567"}
    env |= {"CITY": "Žižkov"} | locale

    def ran(*arguments: str) -> Any:
        ended = amqp_bridge(*arguments, cwd=bridge.folder, env=env, from_nothing=True)
        assert ended.code == 0, ended.err
        return ended.out

    assert TYPE in ran("deliveries", "list", "--type", TYPE)
    assert json.loads(ran("events", "list", "--json"))["items"][0]["type"] == TYPE
    assert "für Žižkov 😀" in ran("hooks", "show", "php")
    assert "OK" in ran("check", "-c", str(bridge.file))


def test_half_a_surrogate_pair_in_a_body_is_printed_escaped(tmp_path: Path, locale: dict[str, str]):
    (tmp_path / "body.json").write_text('{"type": "a", "data": {"name": "\\ud83d ž"}}')
    for arguments in (["body.json"], ["body.json", "--json"]):
        ended = amqp_bridge("inspect", *arguments, cwd=tmp_path, env=locale, from_nothing=True)
        assert ended.code == 0, ended.err
        assert "\\ud83d" in ended.out
