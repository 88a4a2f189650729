"""The command `amqp-bridge`."""

import io
import os
import platform
import sys
from typing import Annotated

import typer
from typer import Option

from bridge import __version__
from bridge.cli import check, doctor, inspect, publish, run, sign, verify
from bridge.cli.asking.command import Commands, Watching, examples
from bridge.cli.failures import INTERRUPTED, ended_by
from bridge.cli.operating import (
    deliveries,
    events,
    hooks,
    looking,
    quarantine,
    replay,
    stats,
    tokens,
)
from bridge.cli.output import print_json

EXAMPLES = """\b
Begin with:
  amqp-bridge check -c bridge.yaml      what is wrong with the configuration
  amqp-bridge doctor -c bridge.yaml     what broker and database really grant
  amqp-bridge run -c bridge.yaml        consume and deliver
  amqp-bridge inspect event.json        how a message is decoded, and which hooks match
  amqp-bridge publish --help            publish events by hand
  amqp-bridge sign --help               sign a body as a webhook, verify one
  amqp-bridge hooks list                hooks of a running bridge: also make, change, pause, test them
  amqp-bridge deliveries list           what became of events: also retry, cancel, replay

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration."""

_WIDEST = 1000
"""Columns: help is as wide as the terminal."""

app = Commands(
    name="amqp-bridge",
    epilog=EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": _WIDEST},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def amqp_bridge(
    context: typer.Context,
    *,
    debug: Annotated[bool, Option("--debug", help="Show where in the code an error came from.")] = False,
    _version: Annotated[
        bool, Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Every event of a durable RabbitMQ queue reaches every webhook, script, queue and notification service that asked for it."""
    context.obj = debug


app.command(epilog=run.EXAMPLES)(run.run)
app.command(epilog=check.EXAMPLES)(check.check)
app.command(epilog=doctor.EXAMPLES)(doctor.doctor)
app.command(epilog=inspect.EXAMPLES)(inspect.inspect)
app.command(epilog=publish.EXAMPLES)(publish.publish)
app.command(epilog=sign.EXAMPLES)(sign.sign)
app.command(epilog=verify.EXAMPLES)(verify.verify)
for group in (hooks, deliveries, events, replay, quarantine, stats, tokens):
    app.add_typer(group.app)
app.command(epilog=events.EXPLAIN)(events.explain)
app.command(cls=Watching, epilog=looking.SOURCES)(looking.sources)
app.command(cls=Watching, epilog=examples("amqp-bridge replicas"))(looking.replicas)
app.command(cls=Watching, epilog=looking.AUDIT)(looking.audit)


@app.command(epilog="\b\nExamples:\n  amqp-bridge version\n  amqp-bridge version --json")
def version(*, as_json: Annotated[bool, Option("--json", help="Print it as a JSON object.")] = False) -> None:
    """Print the version."""
    if as_json:
        print_json({"name": "amqp-bridge", "version": __version__, "python": platform.python_version()})
    else:
        typer.echo(f"amqp-bridge {__version__} (Python {platform.python_version()})")


def main() -> None:
    """Run the command line; ends the process with its exit code."""
    _speak_utf8()
    try:
        app(prog_name="amqp-bridge")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:  # noqa: BLE001 -- the outermost frame of the program
        sys.exit(ended_by(error, debug="--debug" in sys.argv))


def _speak_utf8() -> None:
    """Begin anew in Python's UTF-8 mode where the locale has another encoding.

    It would reach everything else: names of files, arguments and environment of scripts, variables that are read. What
    even UTF-8 cannot say, half of a surrogate pair, is escaped on its way out.
    """
    if sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode and sys.executable:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
