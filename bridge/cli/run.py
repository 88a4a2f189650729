"""`amqp-bridge run` and `check`: what a configuration is used for."""

import gc
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import typer

from bridge.cli.health import Question
from bridge.core.errors import Problem, SettingsError
from bridge.telemetry import logs
from bridge.terminal.configuration import ReloadableConfiguration, find, served_targets, waiting_time
from bridge.terminal.groups import Commands, flag, option
from bridge.terminal.output import USAGE, print_json, usage
from bridge.terminal.paper import count

CONFIG = option(
    "--config -c",
    "FILE",
    "Configuration. Default: BRIDGE_CONFIG, else ./bridge.yaml.",
    Path,
)
RUN = """\b
Examples:
  amqp-bridge run -c bridge.yaml
  amqp-bridge run -c bridge.yaml --targets webhook,queue --log-level debug
  amqp-bridge run -c bridge.yaml --wait 5m --strict
  BRIDGE_BROKER__URL=amqps://user:password@broker/vhost amqp-bridge run"""
CHECK = """\b
Examples:
  amqp-bridge check -c bridge.yaml
  amqp-bridge check -c bridge.yaml --json | jq .problems"""
HEALTH = """\b
Examples:
  amqp-bridge health
  amqp-bridge health --live
  amqp-bridge health --wait 60s && echo deliveries begin
  amqp-bridge health --url https://bridge.example.net

\b
URL of the bridge: --url, else http.listen of -c FILE; without both BRIDGE_URL, else http.listen of the settings of this
folder and environment. BRIDGE_CA_FILE names the certificates to trust.
Exit codes: 0 it is, 1 it is not or nothing answers, 2 wrong usage or configuration."""

app = Commands()


@app.local(
    epilog=RUN,
    own=(
        CONFIG,
        option("--targets", "TYPES", "Attempt only these target types: webhook,queue; park others."),
        flag("--strict", "Refuse to start or reload while any hook of the file has a problem."),
        option("--wait", "TIME", "How long to wait for broker and database at the start, such as 5m."),
        option(
            "--log-level",
            None,
            "In place of log.level of the configuration.",
            Literal["debug", "info", "warning", "error"],
        ),
    ),
)
def run(
    *, config: Path | None, targets: str | None, strict: bool, wait: str | None, log_level: str | None
) -> None:
    """Consume the sources and deliver to the hooks.

    Runs until SIGTERM or Ctrl-C. SIGHUP reloads the hooks; credentials of brokers and database are read again for each
    connection. A hook with a problem is broken and does not affect the others: its events wait until it is repaired. A second
    signal ends the process at once; the broker redelivers unsettled messages.
    """
    # Modules create hardly any garbage: collecting it takes a sixth of the start, and repeats at every full collection unless
    # the objects are frozen.
    gc.disable()
    served = served_targets(targets)
    configuration = find(config, log_level)
    patience = waiting_time(wait)
    written = ReloadableConfiguration(configuration, served, strict=strict)
    early = _early_hang_ups()
    settings = written.read()
    logs.set_up(settings.log.level, settings.log.format)
    # Imported late, since it loads every driver: an error in the file is reported at once.
    from bridge.app.run import run as serve

    gc.freeze()
    gc.enable()
    serve(settings, written, base=configuration.base, served=served, patience=patience, early=early)


def _early_hang_ups() -> list[int]:
    """Returns the list of SIGHUP signals received until the bridge installs its own handler."""
    early: list[int] = []
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda number, _frame: early.append(number))
    return early


@app.local(epilog=CHECK, own=(CONFIG, flag("--json", "Print the result as JSON.", name="as_json")))
def check(*, config: Path | None, as_json: bool) -> None:
    """Validate a configuration and print every problem.

    Nothing is contacted: no broker, no database, no receiver. Exit code 2 if there is a problem; warnings leave it at 0.
    """
    try:
        configuration = find(config)
        settings, warnings = configuration.checked()
    except SettingsError as error:
        if not as_json:
            raise
        print_json({"ok": False, "problems": list(map(_as_json, error.problems)), "warnings": []})
        raise typer.Exit(USAGE) from None
    counts = {name: len(getattr(settings, name)) for name in ("sources", "hooks", "inlets")}
    if as_json:
        print_json({"ok": True, "problems": [], "warnings": list(map(_as_json, warnings)), **counts})
        return
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)
    told = [count(number, name[:-1]) for name, number in counts.items() if number or name != "inlets"]
    typer.echo(f"{configuration.file or 'the environment'}: OK ({', '.join(told)})")


@app.local(
    epilog=HEALTH,
    own=(
        flag("--live", "Check liveness: the process responds."),
        flag("--ready", "Check readiness (default): the bridge has started and is not stopping."),
        option("--wait", "TIME", "Repeat the check for up to this long, such as 60s."),
        option("--url", "URL", "URL of the bridge. Default: from the settings."),
        CONFIG,
    ),
)
def health(*, live: bool, ready: bool, wait: str | None, url: str | None, config: Path | None) -> None:
    """Check liveness or readiness of a running bridge, for probes.

    Outages of broker and database end neither: the line that is printed tells them, and metrics are there to alert on.
    """
    if live and ready:
        raise usage("--live", "give either --live or --ready")
    typer.echo(Question("live" if live else "ready", url, config, waiting_time(wait)).answer())


def _as_json(problem: Problem) -> Mapping[str, Any]:
    file, _, line = problem.where.rpartition(":")
    if line.isdecimal():
        return {"where": file, "line": int(line), "path": problem.path, "message": problem.message}
    return {"where": problem.where, "line": None, "path": problem.path, "message": problem.message}
