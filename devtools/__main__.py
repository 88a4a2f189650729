"""The commands behind ./dev. Each is imported only when it is called, so that starting stays quick."""

import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from devtools.project import SetupError, say

if TYPE_CHECKING:
    from argparse import ArgumentParser

INTRODUCTION = """\
usage: ./dev COMMAND [ARGUMENTS]

Everything a checkout needs, on a fresh machine as on a warm one. Each command first obtains what it
needs (Python environment, broker, database) and says in one line per step what it chose. Nothing is
touched outside this folder, one temporary folder and one in your cache (~/.cache/amqp-bridge); a system
package is installed only after a yes on a terminal, or where there is no terminal. Ctrl-C ends any
command and what it started.
"""
ENDING = """\
Start here:
  ./dev run                     see it work
  ./dev test                    all that CI checks; then `./dev test tests/unit -k signature`

Variables:
  BRIDGE_BROKER__URL, AMQP_URL  use this broker instead of a private one
  BRIDGE_TEST_POSTGRES_URL      test with this PostgreSQL (its user must be allowed to create databases)
  BRIDGE_PYTHON                 build the environment with this Python (3.11 or newer)

Exit codes: 0 ok, 1 failed, 2 something is missing or a wrong command, 130 interrupted.
`./dev COMMAND --help` tells more.
"""


@dataclass(frozen=True)
class Command:
    """A command: its line in the help, all there is to say about it, and where it lives."""

    summary: str
    details: str
    target: str
    options: str = ""
    """Where its argparse parser is made, by a module that needs no package; empty: it has none."""

    def load(self) -> Callable[[Sequence[str]], int]:
        """The function that does it."""
        loaded: Callable[[Sequence[str]], int] = _named(self.target)
        return loaded

    def help(self, name: str) -> str:
        """What `./dev NAME --help` prints."""
        if not self.options:
            return f"./dev {name}: {self.summary}\n\n{self.details}"
        parser: ArgumentParser = _named(self.options)()
        return parser.format_help().rstrip()


def _named(place: str) -> Any:
    """What `module:name` says."""
    module, name = place.split(":")
    return getattr(import_module(module), name)


COMMANDS = {
    "run": Command(
        "start a broker, the bridge and a demo; --check to end with a verdict",
        "",
        "devtools.run:main",
        "devtools.demo.options:parser",
    ),
    "test": Command(
        "run every check that CI runs, or pytest with your arguments",
        """\
Without arguments: format, lint, shell scripts, sizes, generated files, layers, dependencies, types,
then all tests, those in containers first. A failed step does not keep the others from running; the exit code is 1 if any failed.
With arguments: pytest alone, with these arguments (./dev test tests/unit -k signature -x).
--thorough: property tests try 500 examples each in place of 25; alone or before other arguments.
--containers: the tests in containers, and those of broker and database with both in containers; more arguments
go to pytest. The engine is one of our own where root allows it; else all have private servers, as ever.
--rabbitmq 4.0 (or 4.3): the broker's suites, or the tests given, on private nodes of that release of RabbitMQ, in a root
file system of the Debian suite that has it (root, once a minute and 200 MB in your cache).
Tests get a private broker and a private PostgreSQL, except when all paths given are in tests/unit.
The order of tests is random; repeat one with -p randomly -p "randomly_seed=N", N is printed on top.""",
        "devtools.checks.session:test",
    ),
    "lint": Command(
        "run the static checks only",
        "Format, lint, shell scripts, sizes, generated files, layers, dependencies, types. Changes nothing.",
        "devtools.checks.session:lint",
    ),
    "format": Command(
        "format the code and fix what can be fixed safely",
        "Changes files in place.",
        "devtools.upkeep.programs:tidy",
    ),
    "generate": Command(
        "bring generated files up to date",
        "Writes the files listed in devtools/generate.py; with --check it only tells which are stale.",
        "devtools.generate:main",
    ),
    "bench": Command(
        "measure throughput and cost, side by side with what people would use instead",
        "",
        "devtools.upkeep.programs:bench",
        "bench.options:parser",
    ),
    "soak": Command(
        "harm bridge, broker, network, database and endpoints at random, then count every event",
        "",
        "devtools.upkeep.programs:soak",
        "tests.fault.schedule.options:parser",
    ),
    "ui-check": Command(
        "check the operator UI of a running bridge in Chromium, point by point",
        "",
        "devtools.upkeep.programs:ui_check",
        "tests.ui_check.options:parser",
    ),
    "deploy-proof": Command(
        "prove Helm chart and Kustomize base with a real Kubernetes API server",
        "",
        "devtools.cluster.proof:main",
        "devtools.cluster.options:parser",
    ),
    "shots": Command(
        "make the pictures of the UI in docs/images anew",
        "Starts the demo with its broker, and opens its pages in Chromium, in light, dark and on a phone.",
        "devtools.shots:main",
    ),
    "release": Command(
        "make a release in dist/: packages, bill of materials, licences, checksums, audit",
        "",
        "devtools.release.command:main",
        "devtools.release.options:parser",
    ),
    "broker": Command(
        "start a private broker, print its URL, stay until Ctrl-C",
        "",
        "devtools.upkeep.broker:main",
        "devtools.upkeep.broker_options:parser",
    ),
    "exec": Command(
        "run a program in the environment",
        "./dev exec CMD [ARGUMENTS]: for instance `./dev exec amqp-bridge check`, `./dev exec python`.",
        "devtools.upkeep.programs:execute",
    ),
    "doctor": Command(
        "print what is found and would be chosen, for bug reports",
        "Starts nothing, installs nothing. Exit code 1 if no broker could be had.",
        "devtools.upkeep.doctor:main",
    ),
    "clean": Command(
        "remove the environment, caches, state and left-over servers",
        "The checkout is then as it was cloned. Servers in use by other commands are left alone.",
        "devtools.upkeep.clean:main",
    ),
}


def main(arguments: Sequence[str]) -> int:
    """The exit code of the command."""
    name, *rest = arguments or ["--help"]
    if name in {"-h", "--help", "help"}:
        print(help_text())
        return 0
    command = COMMANDS.get(name)
    if command is None:
        say("dev", f"there is no command {name!r}; ./dev --help lists them")
        return 2
    if rest[:1] in (["-h"], ["--help"]):
        print(command.help(name))
        return 0
    return guarded(command.load(), rest)


def help_text() -> str:
    """What `./dev --help` prints."""
    lines = [f"  {name:<12} {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join([INTRODUCTION, "Commands:", *lines, "", ENDING.rstrip()])


def guarded(command: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    """The command's exit code; an interruption or a missing thing becomes one, after the tidying up."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    # A shell that starts us in the background has us ignore it; whoever sends it to us means it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return command(arguments)
    except SetupError as error:
        say("dev", str(error))
        return 2
    except KeyboardInterrupt:
        say("dev", "interrupted; what was started has been ended")
        return 130


def leave(number: int, _: FrameType | None) -> NoReturn:
    """Turns a signal into an ordinary exit, so that everything opened is closed on the way."""
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
