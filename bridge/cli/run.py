"""`amqp-bridge run`."""

import gc
import signal
from pathlib import Path
from typing import Annotated, Literal

from typer import Option

EXAMPLES = """\b
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


def run(
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
    from bridge.cli.configuration import Written, find, served_targets, waiting_time
    from bridge.telemetry import logs

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
