"""The command `amqp-bridge`."""

import gc
import io
import os
import platform
import signal
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Option

from bridge import __version__
from bridge.access import cli as access_cli
from bridge.cli import check, inspect, sign, verify
from bridge.deliveries import cli as deliveries_cli
from bridge.doctor import cli as doctor_cli
from bridge.events import cli as events_cli
from bridge.hooks import cli as hooks_cli
from bridge.publishing import cli as publishing_cli
from bridge.quarantine import cli as quarantine_cli
from bridge.replays import cli as replays_cli
from bridge.stats import cli as stats_cli
from bridge.terminal.options import Commands, Watching, examples
from bridge.terminal.output import INTERRUPTED, ended_by, print_json

# `amqp-bridge run`.


RUN_EXAMPLES = """\b
Examples:
  amqp-bridge run -c bridge.yaml
  amqp-bridge run -c bridge.yaml --targets webhook,queue --log-level debug
  amqp-bridge run -c bridge.yaml --wait 5m --strict
  BRIDGE_BROKER__URL=amqps://user:password@broker/vhost amqp-bridge run"""


Strict = Annotated[
    bool,
    Option("--strict", help="Do not start, and reload nothing, while any hook of the file has a problem."),
]
Wait = Annotated[
    str | None,
    Option("--wait", metavar="TIME", help="Wait so long, such as 5m, for broker and database to be there."),
]


def run_command(
    config: Annotated[
        Path | None, Option("--config", "-c", metavar="FILE", help="Default: bridge.yaml in this folder.")
    ] = None,
    *,
    targets: Annotated[
        str | None,
        Option("--targets", metavar="TYPES", help="Serve only these, such as webhook,queue; park the rest."),
    ] = None,
    strict: Strict = False,
    wait: Wait = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"] | None,
        Option("--log-level", help="In place of log.level of the configuration."),
    ] = None,
) -> None:
    """Consume the sources and deliver to the hooks.

    It goes on until SIGTERM or Ctrl-C. SIGHUP reads the hooks anew; logins to brokers and database are read anew for each connection. A hook with a problem is broken and costs the others nothing: what it asks for waits until it is mended. A second signal ends at once; what was not settled the broker hands out again.
    """
    # Next to nothing that modules make is garbage: to look for it takes a sixth of the start, and goes on doing so
    # at every full collection unless it is frozen.
    gc.disable()
    from bridge.telemetry import logs
    from bridge.terminal.configuration import Written, find, served_targets, waiting_time

    served = served_targets(targets)
    configuration = find(config, log_level)
    patience = waiting_time(wait)
    written = Written(configuration, served, strict=strict)
    early = early_hang_ups()
    settings = written.read()
    logs.set_up(settings.log.level, settings.log.format)
    # Late, for it brings every driver: a wrong file is told of at once.
    from bridge.app.run import run as serve

    gc.freeze()
    gc.enable()
    serve(settings, written, base=configuration.base, served=served, patience=patience, early=early)


def early_hang_ups() -> list[int]:
    """The signals SIGHUP that come until somebody else handles them."""
    early: list[int] = []
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda number, _frame: early.append(number))
    return early


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


app.command("run", epilog=RUN_EXAMPLES)(run_command)
app.command(epilog=check.EXAMPLES)(check.check)
app.command(epilog=doctor_cli.EXAMPLES)(doctor_cli.doctor)
app.command("inspect", epilog=inspect.EXAMPLES)(inspect.inspect_command)
app.command(epilog=publishing_cli.EXAMPLES)(publishing_cli.publish)
app.command(epilog=sign.EXAMPLES)(sign.sign)
app.command(epilog=verify.EXAMPLES)(verify.verify)
for group in (hooks_cli, deliveries_cli, events_cli, replays_cli, quarantine_cli, stats_cli, access_cli):
    app.add_typer(group.app)
app.command(epilog=events_cli.EXPLAIN)(events_cli.explain)
app.command(cls=Watching, epilog=access_cli.SOURCES_HELP)(access_cli.sources)
app.command(cls=Watching, epilog=examples("amqp-bridge replicas"))(access_cli.replicas)
app.command(cls=Watching, epilog=access_cli.AUDIT_HELP)(access_cli.audit)


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
