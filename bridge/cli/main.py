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
  amqp-bridge check -c bridge.yaml      validate the configuration
  amqp-bridge doctor -c bridge.yaml     diagnose broker and database
  amqp-bridge run -c bridge.yaml        start the bridge
  amqp-bridge inspect event.json        show how a message is decoded, and which hooks match
  amqp-bridge publish --help            publish messages
  amqp-bridge sign --help               sign or verify a webhook
  amqp-bridge hooks list                list hooks; also create, update, pause, test
  amqp-bridge deliveries list           list deliveries; also retry, cancel, replay
  amqp-bridge overview                  show what needs attention

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration."""

_WIDEST = 1000
"""Maximum columns of help, which else is as wide as the terminal."""


class _Bridge(LazyGroup):
    later = {  # noqa: RUF012 - of the base class
        "run": Later("bridge.cli.run:app", "Consume the sources and deliver to the hooks."),
        "check": Later("bridge.cli.run:app", "Validate a configuration and print every problem."),
        "doctor": Later(
            "bridge.doctor.cli:app",
            "Diagnose broker and database: permissions, objects and configuration.",
        ),
        "topology": Later(
            "bridge.topology.cli:app", "Compare, create and remove the bridge's exchanges and queues."
        ),
        "health": Later("bridge.cli.run:app", "Check liveness or readiness of a running bridge, for probes."),
        "inspect": Later("bridge.cli.inspect:app", "Show how a message is decoded, and which hooks match."),
        "publish": Later("bridge.publishing.cli:app", "Publish messages to a source or a queue."),
        "sign": Later("bridge.cli.signing:app", "Print the headers that sign a webhook's body."),
        "verify": Later("bridge.cli.signing:app", "Verify the signature of a webhook."),
        "explain": Later(
            "bridge.events.cli:top", "Explain which hooks match an event, and why the others do not."
        ),
        "sources": Later(
            "bridge.access.cli:lists", "List sources: queue depths, consumers, and whether they are consumed."
        ),
        "replicas": Later("bridge.access.cli:lists", "List the bridges that share the database."),
        "audit": Later("bridge.access.cli:lists", "List the audit log, newest entries first."),
        "version": None,
        "hooks": Later(
            "bridge.hooks.cli:app", "List, create, change, switch and test the hooks of a running bridge."
        ),
        "deliveries": Later("bridge.deliveries.cli:app", "List, retry and cancel deliveries."),
        "events": Later("bridge.events.cli:app", "List, explain and publish events."),
        "replay": Later(
            "bridge.replays.cli:app", "Replay deliveries in bulk; list, show, watch and cancel replays."
        ),
        "quarantine": Later("bridge.quarantine.cli:app", "List, requeue and delete messages in quarantine."),
        "overview": Later(
            "bridge.overview.cli:app", "Show what needs attention, and the figures of the last hour."
        ),
        "find": Later("bridge.find.cli:app", "Find what an id or a name stands for."),
        "stats": Later("bridge.stats.cli:app", "Show totals and time series of deliveries and events."),
        "tokens": Later("bridge.access.cli:app", "Create, list and revoke tokens of the admin API."),
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
