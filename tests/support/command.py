"""Runs the command line as a program of its own."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

LIMIT = 30.0
PROGRAM = (sys.executable, "-c", "from bridge.cli.main import main; main()")


@dataclass(frozen=True)
class Ended:
    """A program's end."""

    code: int
    out: str
    err: str


def amqp_bridge(*arguments: str, cwd: Path, stdin: bytes = b"", env: dict[str, str] | None = None) -> Ended:
    """What `amqp-bridge` with these arguments prints, and its exit code; `env` is added to a bare environment."""
    root = Path(__file__).parents[2]
    whole = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root), "LANG": "C.UTF-8", "COLUMNS": "100"} | (
        env or {}
    )
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
