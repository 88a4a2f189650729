"""What `amqp-bridge doctor` does."""

import asyncio
import os
import socket
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import typer
from rich.console import Console

from bridge.admin.doctor import Diagnosis, healthy
from bridge.app.doctor import diagnose
from bridge.cli.asking.access import Access, listening
from bridge.cli.asking.client import Client
from bridge.cli.asking.refusals import Refused, Unreachable
from bridge.cli.configuration import find
from bridge.cli.management import policies
from bridge.cli.output import print_json
from bridge.cli.showing.words import visible
from bridge.ports.survey import FoundBridge
from bridge.settings.addresses import host_and_port
from bridge.settings.loading import load_with_places
from bridge.settings.tree import Http
from bridge.telemetry import logs

_PATIENCE = 5.0
_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


def diagnosed(config: Path | None, management_url: str | None) -> list[Diagnosis]:
    """All findings; raises SettingsError for a file that cannot be read as a configuration at all."""
    logs.set_up("error", "console")
    configuration = find(config)
    loaded = load_with_places(configuration.file, configuration.env)
    http, broker = loaded.settings.http, loaded.settings.broker
    console = Console(stderr=True)
    with console.status("looking at the configuration") as status:
        bridges = [
            _bridge(listen, http) for listen in dict.fromkeys((http.listen, http.admin_listen)) if listen
        ]
        queues = [source.queue for source in loaded.settings.sources]
        given = management_url or os.environ.get("BRIDGE_MANAGEMENT_URL")
        if given is None and broker.management_url is not None:
            given = broker.management_url.get_secret_value()
        found = policies(broker, queues, given)
        step = lambda what: status.update(f"looking at the {what}")  # noqa: E731 - one line, once
        return asyncio.run(diagnose(loaded, configuration.base, bridges, found, step))


def _bridge(listen: str, http: Http) -> FoundBridge:
    """Who answers there: a bridge, nobody, or somebody else."""
    host, port = host_and_port(listen)
    if port == 0:
        return FoundBridge(listen, running=False)
    token = None if http.admin_token is None else http.admin_token.get_secret_value().strip()
    with Client(Access(listening(listen), token), _PATIENCE) as client:
        try:
            client.health()
        except Unreachable as unreachable:
            failure = _in_the_way(host, port)
            return FoundBridge(
                listen, running=False, failure=failure and f"{failure}; {unreachable.lines[0]}"
            )
        is_admin = http.admin_listen in {None, listen}
        return (
            _running(client, listen) if is_admin and token else FoundBridge(listen, running=True, replicas=1)
        )


def _running(client: Client, listen: str) -> FoundBridge:
    try:
        replicas = client.items("/replicas", {}, None)["items"]
        hooks = client.items("/hooks", {}, None)["items"]
    except Refused as refused:
        return FoundBridge(listen, running=True, admits=refused.status not in {401, 403}, replicas=1)
    except Unreachable:
        return FoundBridge(listen, running=True, replicas=1)
    return FoundBridge(
        listen,
        running=True,
        admits=True,
        replicas=max(1, len(replicas)),
        timeouts={str(hook["id"]): float(hook["target"].get("timeout", 0)) for hook in hooks},
    )


def _in_the_way(host: str | None, port: int) -> str:
    """Why the address cannot be listened on; empty: it can."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with closing(socket.socket(family, socket.SOCK_STREAM)) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        return f"it cannot be listened on: {error.strerror or error}"
    return ""


def print_findings(findings: Sequence[Diagnosis], *, quiet: bool, as_json: bool) -> None:
    """All of them, for programs or for people; `quiet` leaves out what is in order."""
    if as_json:
        shown = [asdict(finding) for finding in findings if not (quiet and finding.level == "ok")]
        print_json({"ok": healthy(findings), "findings": shown})
        return
    for finding in findings:
        if not (quiet and finding.level == "ok"):
            _print(finding)
    counts = Counter(finding.level for finding in findings)
    typer.echo(
        f"{counts['ok']} in order, {_many(counts['warning'], 'warning')}, {_many(counts['problem'], 'problem')}"
    )


def _print(finding: Diagnosis) -> None:
    mark = f"{finding.level:7}"
    if sys.stdout.isatty():
        mark = typer.style(mark, fg=_COLOURS[finding.level], bold=finding.level == "problem")
    typer.echo(f"{mark}  {finding.about}: {visible(finding.subject)}: {visible(finding.message)}")
    if finding.advice:
        typer.echo(f"         {visible(finding.advice)}")


def _many(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
