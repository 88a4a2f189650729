"""Runs the command line as a program of its own."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from tests.support.forks import POSSIBLE, fork

LIMIT = 30.0
PROGRAM = (sys.executable, "-c", "from bridge.cli.main import main; main()")


@dataclass(frozen=True)
class Ended:
    """A program's end."""

    code: int
    out: str
    err: str


def amqp_bridge(
    *arguments: str,
    cwd: Path,
    stdin: bytes = b"",
    env: dict[str, str] | None = None,
    from_nothing: bool = False,
) -> Ended:
    """What `amqp-bridge` with these arguments prints, and its exit code; `env` is added to a bare environment.

    `from_nothing`: as a shell starts it, with all that Python does before; a second slower.
    """
    root = Path(__file__).parents[2]
    whole = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root), "LANG": "C.UTF-8", "COLUMNS": "100"} | (
        env or {}
    )
    if POSSIBLE and not from_nothing:
        return _forked(arguments, cwd, stdin, whole)
    done = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=cwd,
        env=whole,
        input=stdin,
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def _forked(arguments: Sequence[str], cwd: Path, stdin: bytes, env: dict[str, str]) -> Ended:
    with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        program = fork(PROGRAM[-1], arguments, cwd=cwd, env=env, out=out, err=err, given=given)
        if not program.ended_within(LIMIT):
            program.kill()
            raise AssertionError(f"amqp-bridge {' '.join(arguments)} did not end within {LIMIT:g} s")
        assert program.returncode is not None
        for file in (out, err):
            file.seek(0)
        return Ended(program.returncode, out.read().decode(), err.read().decode())
