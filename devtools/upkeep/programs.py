"""Commands that hand over to a program of the environment."""

import os
import sys
from collections.abc import Sequence

from devtools.project import ROOT, SetupError, program_environment


def tidy(_: Sequence[str]) -> int:
    """Formats the code in place and applies the safe fixes; the exit code of the last step that failed."""
    from devtools.checks.static import program

    fixed = hand_over(program("ruff"), "check", "--fix", "--quiet", ".")
    return hand_over(program("ruff"), "format", ".") or fixed


def bench(arguments: Sequence[str]) -> int:
    """The exit code of the measurements."""
    if not (ROOT / "bench" / "__main__.py").exists():
        raise SetupError("there is nothing to measure with: this checkout has no bench/__main__.py")
    return hand_over(sys.executable, "-m", "bench", *arguments)


def soak(arguments: Sequence[str]) -> int:
    """The exit code of the random fault run."""
    if not (ROOT / "tests" / "fault" / "schedule" / "__main__.py").exists():
        raise SetupError("this checkout has no tests/fault/schedule to run")
    return hand_over(sys.executable, "-m", "tests.fault.schedule", *arguments)


def ui_check(arguments: Sequence[str]) -> int:
    """The exit code of the check of the operator UI."""
    if not (ROOT / "tests" / "ui_check" / "__main__.py").exists():
        raise SetupError("this checkout has no tests/ui_check to run")
    return hand_over(sys.executable, "-m", "tests.ui_check", *arguments)


def execute(arguments: Sequence[str]) -> int:
    """Becomes the program, so that its exit code and its signals are its own."""
    if not arguments:
        raise SetupError("exec needs a program: ./dev exec CMD [ARGUMENTS]")
    environment = program_environment()
    try:
        os.execvpe(arguments[0], list(arguments), environment)
    except OSError as error:
        raise SetupError(f"{arguments[0]}: {error.strerror}") from error


def hand_over(*argv: str) -> int:
    """The exit code of a command that shares our terminal."""
    from devtools.nodes.processes import run_foreground  # only here: `exec` starts without it

    return run_foreground(argv, env=program_environment(), cwd=ROOT)
