"""The command `amqp-bridge`."""

import io
import os
import platform
import sys
from typing import Annotated

import typer
from typer import Option

from bridge import __version__
from bridge.terminal.groups import Commands, Later, LazyGroup
from bridge.terminal.output import INTERRUPTED, ended_by, print_json

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
"""Maximum columns of help, which else is as wide as the terminal."""


class _Bridge(LazyGroup):
    later = {  # noqa: RUF012 - of the base class
        "run": Later("bridge.cli.run:app", "Consume the sources and deliver to the hooks."),
        "check": Later("bridge.cli.run:app", "Tell everything that is wrong with a configuration."),
        "doctor": Later(
            "bridge.doctor.cli:app",
            "Look at the real broker and database: what is granted, what is there, and what is wrong.",
        ),
        "health": Later("bridge.cli.run:app", "Tell whether a running bridge is live or ready, for probes."),
        "inspect": Later(
            "bridge.cli.inspect:app", "Say how a message would be decoded, and which hooks match."
        ),
        "publish": Later("bridge.publishing.cli:app", "Publish messages to a source or a queue."),
        "sign": Later("bridge.cli.signing:app", "Print the headers that sign a webhook's body."),
        "verify": Later("bridge.cli.signing:app", "Tell whether the headers of a webhook fit its body."),
        "explain": Later(
            "bridge.events.cli:top", "Tell which hooks get an event, and why the others do not."
        ),
        "sources": Later(
            "bridge.access.cli:lists", "List sources: queue depths, consumers, and whether they are consumed."
        ),
        "replicas": Later("bridge.access.cli:lists", "List the bridges that share the database."),
        "audit": Later("bridge.access.cli:lists", "List who changed what, the latest first."),
        "version": None,
        "hooks": Later(
            "bridge.hooks.cli:app", "Hooks of a running bridge: look, make, change, switch, test."
        ),
        "deliveries": Later("bridge.deliveries.cli:app", "Deliveries: look, retry, cancel."),
        "events": Later("bridge.events.cli:app", "Events: look, explain, publish."),
        "replay": Later(
            "bridge.replays.cli:app", "Start many deliveries anew; also: list, show, watch, cancel such jobs."
        ),
        "quarantine": Later(
            "bridge.quarantine.cli:app", "Messages that could not be handled: look, put back, drop."
        ),
        "stats": Later("bridge.stats.cli:app", "Totals and time series; also: top, measures, dimensions."),
        "tokens": Later("bridge.access.cli:app", "Tokens of the admin API: make, list, revoke."),
    }


app = Commands(
    "amqp-bridge",
    cls=_Bridge,
    epilog=EXAMPLES,
    no_args_is_help=True,
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
    """Restarts Python in its UTF-8 mode if the locale has another encoding.

    The encoding also affects names of files, arguments and environment of scripts, and variables. Text that UTF-8 cannot
    encode, half of a surrogate pair, is escaped on output.
    """
    if sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode and sys.executable:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
