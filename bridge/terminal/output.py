"""Error messages, exit codes and JSON output of commands."""

import sys
import traceback
from typing import Any

import orjson
import typer

from bridge.core.errors import BridgeError, Problem, SettingsError

FAILED = 1
USAGE = 2
INTERRUPTED = 130


class Failure(BridgeError):
    """Ends a command with this exit code; the first line is the error, the others give details."""

    def __init__(self, lines: list[str], code: int = FAILED) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
        self.code = code


def ended_by(error: BaseException, *, debug: bool) -> int:
    """Prints the error on standard error, one line per problem, and returns the exit code."""
    if debug:
        traceback.print_exception(error)
    if isinstance(error, SettingsError):
        for problem in error.problems:
            _say(str(problem))
        return USAGE
    if isinstance(error, Failure):
        tell(error)
        return error.code
    if isinstance(error, BridgeError):
        _say(str(error))
        return FAILED
    if not debug:
        _say(f"a bug in amqp-bridge: {type(error).__name__}: {error}")
        _say("run it again as `amqp-bridge --debug ...` and report what it prints")
    return FAILED


def tell(failure: Failure) -> None:
    """Prints a failure on standard error; the command goes on."""
    first, *others = failure.lines
    _say(first)
    for line in others:
        typer.echo(f"  {line}", err=True)


def usage(option: str, message: str) -> SettingsError:
    """Returns the error for wrong usage of an option, or of the whole command if `option` is empty."""
    return SettingsError([Problem(option, message)])


def _say(text: str) -> None:
    mark = typer.style("error:", fg="red", bold=True) if sys.stderr.isatty() else "error:"
    typer.echo(f"{mark} {text}", err=True)


# What commands print on standard output.


def print_json(value: Any) -> None:
    """Prints an indented JSON document."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")
