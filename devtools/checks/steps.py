"""Steps that each end OK or FAILED: told as they end, and again in one list."""

import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass

from devtools.project import ROOT, program_environment, say


@dataclass(frozen=True)
class Step:
    """A command that fails by its exit code."""

    name: str
    argv: tuple[str, ...]
    tells: bool = False
    """Whether its last line belongs into the list: what a test run counted."""


@dataclass(frozen=True)
class Result:
    """How a step ended."""

    name: str
    passed: bool
    seconds: float
    told: str = ""

    def __str__(self) -> str:
        """One line of the list."""
        return f"{self.name:<24} {'OK' if self.passed else 'FAILED':<7} {self.seconds:6.1f} s  {self.told}".rstrip()


def run_steps(steps: Iterable[Step]) -> list[Result]:
    """The results of all steps; one that fails does not hide what the others find."""
    return [run_step(step) for step in steps]


def run_step(step: Step) -> Result:
    """Runs the step; only a failed one shows what it printed."""
    started = time.monotonic()
    environment = program_environment()
    run = subprocess.run(
        step.argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    printed = run.stdout.decode(errors="replace")
    told = printed.rstrip().rpartition("\n")[2].strip("= ") if step.tells else ""
    result = Result(step.name, run.returncode == 0, time.monotonic() - started, told)
    say("check", str(result))
    if not result.passed:
        sys.stderr.write(printed + "\n")
        sys.stderr.flush()
    return result
