"""The command `amqp-bridge doctor`."""

import asyncio
import os
import socket
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import typer
from rich.console import Console

from bridge.amqp.survey import Survey, reached
from bridge.amqp.topology import Names
from bridge.checks.broker import broker_address, policies
from bridge.checks.configuration import check, warnings
from bridge.core.errors import BrokerUnavailable
from bridge.core.survey import FoundBridge, FoundBroker, FoundPolicies
from bridge.db.survey import survey_database
from bridge.doctor.broker import longest_attempt, of_broker, of_sources, of_timeouts
from bridge.doctor.findings import (
    Diagnosis,
    healthy,
    of_configuration,
    of_database,
    of_http,
    of_owner,
    of_secrets,
)
from bridge.doctor.policies import of_policies
from bridge.settings.loading import Loaded, load_with_places
from bridge.settings.transport import host_and_port
from bridge.settings.tree import Http, Settings
from bridge.telemetry import logs
from bridge.terminal.client import ApiConnection, ApiProblem, Client, Unreachable, listening
from bridge.terminal.configuration import find
from bridge.terminal.groups import Commands, flag, option
from bridge.terminal.output import FAILED, print_json
from bridge.terminal.paper import count, visible

EXAMPLES = """\b
Examples:
  amqp-bridge doctor -c bridge.yaml
  amqp-bridge doctor -c bridge.yaml --json | jq '.findings[] | select(.level != "ok")'
  amqp-bridge doctor -c bridge.yaml --management-url http://monitor:secret@rabbitmq:15672

\b
It declares one exchange and one queue of its own, tests them and deletes them; everything else is only read.
The management API is optional; without it, policies are not visible.
BRIDGE_MANAGEMENT_URL replaces --management-url, which is visible in process lists.
Exit codes: 0 no problem, 1 a problem, 2 wrong usage or a file that cannot be read."""

app = Commands()


@app.local(
    epilog=EXAMPLES,
    own=(
        option("--config -c", "FILE", "Configuration. Default: BRIDGE_CONFIG, else ./bridge.yaml.", Path),
        option(
            "--management-url", "URL", "URL of the management API. Default: derived from the broker's URL."
        ),
        flag("--quiet -q", "Show warnings and problems only."),
        flag("--json", "Print the findings as JSON.", name="as_json"),
    ),
)
def doctor(*, config: Path | None, management_url: str | None, quiet: bool, as_json: bool) -> None:
    """Diagnose broker and database: permissions, objects and configuration.

    Each finding is ok, a warning or a problem, with its meaning and what to do. Nothing is changed permanently.
    """
    findings = diagnosed(config, management_url)
    print_findings(findings, quiet=quiet, as_json=as_json)
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(FAILED)


# The diagnosis of the real broker and database; nothing permanent is changed.


_MOST_LANES = 500
"""Maximum lanes that are checked: those of the first hooks, of the file and then of the API."""


async def diagnose(
    loaded: Loaded,
    base: Path,
    bridges: Sequence[FoundBridge],
    policies: FoundPolicies,
    step: Callable[[str], None],
) -> list[Diagnosis]:
    """Returns all findings on this configuration, as far as it is valid.

    `bridges` are the processes at its addresses, `policies` come from the management API; `step` is called with the
    name of each step.
    """
    settings = loaded.settings
    problems = [*loaded.problems, *loaded.located(check(settings, base))]
    findings = list(of_configuration(problems, loaded.located(warnings(settings)), settings))
    step("database")
    url = settings.storage.url
    database = await survey_database(url.get_secret_value(), str(url), settings.storage.tls)
    findings += of_database(database)
    findings += of_secrets(settings)
    step("broker")
    broker = await _broker(settings, database.hooks)
    findings += of_owner(database, broker, settings)
    findings += of_broker(broker, policies.granted, settings)
    running = [bridge.replicas for bridge in bridges if bridge.running]
    findings += of_sources(broker, policies.queues, settings, max(running, default=None))
    timeouts = {hook: seconds for bridge in bridges for hook, seconds in bridge.timeouts.items()}
    findings += of_timeouts(settings, timeouts)
    if broker.objects:
        version = next(each.version for each in broker.endpoints if not each.failure)
        queues = [found.name for found in broker.objects if found.kind == "queue"]
        longest = longest_attempt(settings, timeouts)[1]
        findings += of_policies(policies, queues, settings, version=version, longest=longest)
    findings += of_http(bridges, settings)
    return findings


async def _broker(settings: Settings, others: Sequence[str]) -> FoundBroker:
    """Returns the findings on the broker; `others` are the ids of hooks that are not in the file."""
    broker = settings.broker
    hooks = [*(hook.id for hook in settings.hooks), *others][:_MOST_LANES]
    async with reached(broker_address(broker, broker)) as (endpoints, link):
        if link is None:
            return FoundBroker(endpoints)
        survey = Survey(link, Names(broker.prefix), broker.queue_type)
        try:
            return FoundBroker(
                endpoints,
                await survey.rights(),
                tuple([await survey.source(source.queue) for source in settings.sources]),
                await survey.objects(hooks),
            )
        except BrokerUnavailable as error:
            raise BrokerUnavailable(f"the connection was lost while looking: {error}") from error


# The command's implementation.


_PATIENCE = 5.0
_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


def diagnosed(config: Path | None, management_url: str | None) -> list[Diagnosis]:
    """Returns all findings. Raises SettingsError for a file that is not a configuration at all."""
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
    """Returns the process at this address: a bridge, none, or another program."""
    host, port = host_and_port(listen)
    if port == 0:
        return FoundBridge(listen, running=False)
    token = None if http.admin_token is None else http.admin_token.get_secret_value().strip()
    with Client(ApiConnection(listening(listen), token), _PATIENCE) as client:
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
    except ApiProblem as refused:
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
    """Returns why the address cannot be bound; empty: it can."""
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
    """Print the findings, as JSON or as text; `quiet` omits those without a problem."""
    if as_json:
        shown = [asdict(finding) for finding in findings if not (quiet and finding.level == "ok")]
        print_json({"ok": healthy(findings), "findings": shown})
        return
    for finding in findings:
        if not (quiet and finding.level == "ok"):
            _print(finding)
    counts = Counter(finding.level for finding in findings)
    typer.echo(
        f"{counts['ok']} in order, {count(counts['warning'], 'warning')}, {count(counts['problem'], 'problem')}"
    )


def _print(finding: Diagnosis) -> None:
    mark = f"{finding.level:7}"
    if sys.stdout.isatty():
        mark = typer.style(mark, fg=_COLOURS[finding.level], bold=finding.level == "problem")
    typer.echo(f"{mark}  {finding.about}: {visible(finding.subject)}: {visible(finding.message)}")
    if finding.advice:
        typer.echo(f"         {visible(finding.advice)}")
