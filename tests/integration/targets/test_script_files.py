"""Programs that cannot be run: what is said about them, before they are run and when they are."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from bridge.core.delivery import Answer, Fault
from bridge.core.errors import Problem
from bridge.core.hook import Hook
from bridge.targets.factory import Targets
from tests.support.events import delivery

FINE = b"#!/bin/sh\nexit 0\n"
FAULTS: list[tuple[str, bytes, int, str]] = [
    ("not executable", FINE, 0o644, "is not executable; run: chmod 755 {file}"),
    ("no shebang", b"<?php\nexit(0);\n", 0o755, "its first line must name the interpreter, such as #!/usr/bin/php"),
    ("empty", b"", 0o755, "its first line must name the interpreter"),
    ("empty shebang", b"#!\nexit 0\n", 0o755, "names no interpreter in its first line"),
    ("line ends of Windows", b"#!/bin/sh\r\nexit 0\r\n", 0o755, r"run: sed -i 's/\r$//' {file}"),
    ("the same by env", b"#!/usr/bin/env sh\r\nexit 0\r\n", 0o755, r"run: sed -i 's/\r$//' {file}"),
    ("no interpreter", b"#!/opt/no/such/php -q\n", 0o755, "is to be run by /opt/no/such/php, which is not there"),
    ("none in PATH", b"#!/usr/bin/env no-such-php\n", 0o755, "is to be run by no-such-php, which is not in PATH"),
    ("byte order mark", b"\xef\xbb\xbf#!/bin/sh\nexit 0\n", 0o755, "byte order mark that hides its first line"),
]  # fmt: skip


def hook(**settings: Any) -> Hook:
    target = {"type": "script", "command": ["./hook"], "timeout": 20, **settings}
    return Hook.model_validate({"name": "crm", "target": target})


def targets(folder: Path) -> Targets:
    return Targets({}, [], folder, lambda _: None)


def problems(folder: Path, **settings: Any) -> list[Problem]:
    return targets(folder).problems(hook(**settings))


async def attempt(folder: Path, **settings: Any) -> Answer:
    return await targets(folder).build(hook(**settings)).attempt(delivery())


@pytest.mark.parametrize(
    ("content", "mode", "says"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS]
)
async def test_what_is_wrong_with_a_file_is_said_by_check_and_by_attempts_until_it_is_mended(
    content: bytes, mode: int, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "hook"
    file.write_bytes(content)
    file.chmod(mode)
    expected = says.format(file=file)
    (problem,) = problems(tmp_path)
    assert problem.path == "target.command"
    assert expected in problem.message
    for settings in ({}, {"limits": {"cpu": 9}} if shutil.which("prlimit") else {}):
        answer = await attempt(tmp_path, **settings)
        assert answer.fault in (Fault.SPAWN, Fault.EXIT)
        assert expected in answer.error
        assert not answer.lasting
    file.write_bytes(FINE)
    file.chmod(0o755)
    assert problems(tmp_path) == []
    assert (await attempt(tmp_path)).fault is None


async def test_a_folder_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "hook").mkdir()
    (problem,) = problems(tmp_path)
    assert problem.message == f"{tmp_path}/hook is a folder; name the program in it"
    answer = await attempt(tmp_path)
    assert (answer.fault, answer.error) == (Fault.SPAWN, problem.message)


async def test_a_file_that_is_gone_is_tried_again_later(tmp_path: Path) -> None:
    answer = await attempt(tmp_path)
    assert (answer.fault, answer.lasting) == (Fault.SPAWN, False)
    assert answer.error.startswith(f"there is no file {tmp_path}/hook; ")


async def test_exit_code_127_of_a_sound_program_is_its_own_affair(tmp_path: Path) -> None:
    (tmp_path / "hook").write_bytes(b"#!/bin/sh\nno-such-command\n")
    (tmp_path / "hook").chmod(0o755)
    answer = await attempt(tmp_path)
    assert (answer.fault, answer.error) == (Fault.EXIT, "exit code 127")
    assert b"no-such-command" in answer.response


async def test_a_compiled_program_is_no_script(tmp_path: Path) -> None:
    shutil.copy(shutil.which("true") or "", tmp_path / "hook")
    assert problems(tmp_path) == []
    assert (await attempt(tmp_path)).fault is None


async def test_the_path_of_the_hook_is_what_env_looks_in(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "php-of-ours").symlink_to("/bin/sh")
    (tmp_path / "hook").write_bytes(b"#!/usr/bin/env php-of-ours\nexit 0\n")
    (tmp_path / "hook").chmod(0o755)
    assert problems(tmp_path)
    env = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    assert problems(tmp_path, env=env) == []
    assert (await attempt(tmp_path, env=env)).fault is None
