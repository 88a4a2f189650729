"""`amqp-bridge topology`: the bridge's exchanges and queues on the broker, and manifests from which others create them."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import typer
import yaml

from bridge.amqp.survey import Survey, reached
from bridge.amqp.topology import Names, Planned, Topology, planned
from bridge.checks.broker import broker_address, vhost_of
from bridge.core.errors import BrokerUnavailable
from bridge.core.survey import FoundObject
from bridge.db.survey import survey_database
from bridge.settings.tree import Settings
from bridge.telemetry import logs
from bridge.terminal.configuration import find
from bridge.terminal.groups import Commands, flag, option
from bridge.terminal.options import YES
from bridge.terminal.output import FAILED, Failure, print_json, usage
from bridge.terminal.paper import count, visible
from bridge.terminal.remote import confirm

# The objects in forms that others create them from: RabbitMQ's definitions, and Kubernetes manifests.


_API = "rabbitmq.com/v1beta1"
_UNFIT = re.compile(r"[^a-z0-9]+")
_LONGEST = 50
_TYPE = "x-queue-type"


def definitions(plans: Sequence[Planned], vhost: str) -> dict[str, Any]:
    """Returns the objects as RabbitMQ's definitions (`rabbitmqctl import_definitions`, `POST /api/definitions`)."""
    shared = {"vhost": vhost, "durable": True, "auto_delete": False}
    return {
        "exchanges": [
            {
                "name": each.name,
                **shared,
                "internal": False,
                "type": each.type,
                "arguments": dict(each.arguments),
            }
            for each in plans
            if each.kind == "exchange"
        ],
        "queues": [
            {"name": each.name, **shared, "arguments": dict(each.arguments)}
            for each in plans
            if each.kind == "queue"
        ],
        "bindings": [
            {
                "source": exchange,
                "vhost": vhost,
                "destination": each.name,
                "destination_type": "queue",
                "routing_key": key,
                "arguments": {},
            }
            for each in plans
            for exchange, key in each.bindings
        ],
    }


class Cluster(NamedTuple):
    """A RabbitmqCluster object of Kubernetes; an empty namespace is that of the manifests."""

    name: str
    namespace: str = ""

    def reference(self) -> dict[str, str]:
        return {"name": self.name} | ({"namespace": self.namespace} if self.namespace else {})


def manifests(plans: Sequence[Planned], vhost: str, cluster: Cluster) -> Iterator[dict[str, Any]]:
    """Yields the objects as resources of RabbitMQ's messaging topology operator (rabbitmq.com/v1beta1)."""
    shared = {"vhost": vhost, "rabbitmqClusterReference": cluster.reference()}
    for each in plans:
        spec: dict[str, Any] = {"name": each.name, "durable": True, "autoDelete": False, **shared}
        if each.kind == "exchange":
            yield _resource("Exchange", each.name, spec | {"type": each.type} | _arguments(each))
            continue
        # The operator makes the argument x-queue-type of `type`; without one it declares a queue of the default type.
        kind = {"type": each.arguments[_TYPE]} if _TYPE in each.arguments else {}
        yield _resource("Queue", each.name, spec | kind | _arguments(each))
        for exchange, key in each.bindings:
            binding = {"source": exchange, "destination": each.name, "destinationType": "queue", **shared}
            yield _resource(
                "Binding", f"{exchange} {each.name}", binding | ({"routingKey": key} if key else {})
            )


def _arguments(plan: Planned) -> dict[str, Any]:
    arguments = {name: value for name, value in plan.arguments.items() if name != _TYPE}
    return {"arguments": arguments} if arguments else {}


def _resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": _API, "kind": kind, "metadata": {"name": _fitting(name)}, "spec": spec}


def _fitting(name: str) -> str:
    """Returns a name that Kubernetes accepts: distinct names stay distinct."""
    plain = _UNFIT.sub("-", name.lower()).strip("-")
    if plain == name.replace(".", "-").replace(" ", "-") and len(plain) <= _LONGEST:
        return plain
    return f"{plain[:_LONGEST].strip('-')}-{sha256(name.encode()).hexdigest()[:8]}".lstrip("-")


# The commands.


CONFIG = option("--config -c", "FILE", "Default: BRIDGE_CONFIG, else bridge.yaml in this folder.", Path)
HOOK = option("--hook", "ID", "Also the lane of this hook; may be repeated.", list[str], name="hooks")
JSON = flag("--json", "Print the objects as JSON.", name="as_json")
_FORMS = ("plan", "definitions", "operator")
_MARKS = {"right": "  ok      ", "missing": "+ missing ", "other": "! differs ", "unknown": "? unknown "}

app = Commands("topology", no_args_is_help=True)


class Objects(NamedTuple):
    """What a configuration needs on the broker: objects of the bridge, and queues of sources, which publishers share."""

    settings: Settings
    ours: Sequence[Planned]
    sources: Sequence[Planned]


def objects_of(config: Path | None, hooks: Sequence[str]) -> Objects:
    """Returns the objects with the lanes of all hooks: of the file, of the database if it can be read, and `hooks`."""
    logs.set_up("error", "console")
    settings, _ = find(config).checked()
    url = settings.storage.url
    database = asyncio.run(survey_database(url.get_secret_value(), str(url), settings.storage.tls))
    if database.failure or database.hindrance:
        reason = database.failure or database.hindrance
        typer.echo(f"hooks made through the API are not included: {reason}; name them by --hook", err=True)
    ids = dict.fromkeys((*(hook.id for hook in settings.hooks), *database.hooks, *hooks))
    broker = settings.broker
    ours = planned(Names(broker.prefix), broker.queue_type, list(ids))
    sources = dict.fromkeys(source.queue for source in settings.sources)
    return Objects(settings, tuple(ours), tuple(Planned("queue", each, "", "read") for each in sources))


@asynccontextmanager
async def _broker(settings: Settings) -> AsyncIterator[tuple[Survey, Topology]]:
    """Yields the first address of the broker that can be used. Raises BrokerUnavailable if there is none."""
    broker = settings.broker
    async with reached(broker_address(broker, broker)) as (endpoints, link):
        if link is None:
            raise BrokerUnavailable("; ".join(f"{each.address}: {each.failure}" for each in endpoints))
        names = Names(broker.prefix)
        yield Survey(link, names, broker.queue_type), Topology(link, names, queue_type=broker.queue_type)


@app.local(
    epilog="""\b
Examples:
  amqp-bridge topology show -c bridge.yaml
  amqp-bridge topology show -c bridge.yaml --as definitions > bridge.json
  rabbitmqctl import_definitions bridge.json
  amqp-bridge topology show -c bridge.yaml --as operator --cluster rabbit | kubectl apply -f -

\b
An administrator creates the objects so where the bridge's user has no right to configure and
broker.topology is `verify`. `definitions` and `operator` ask no broker.
Exit codes: 0 everything exists as it has to, 1 something is missing or differs, 2 wrong usage or configuration.""",
    own=(
        CONFIG,
        HOOK,
        option("--as", "FORM", "plan, definitions or operator.", name="form", default="plan"),
        option("--cluster", "NAME", "operator: the RabbitmqCluster.", default="rabbitmq"),
        option("--cluster-namespace", "NAME", "operator: its namespace, if it is another one."),
        flag("--all", "plan: also what is in order.", name="everything"),
        JSON,
    ),
)
def show(
    *,
    config: Path | None,
    hooks: list[str] | None,
    form: str,
    cluster: str,
    cluster_namespace: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Print the exchanges and queues that the bridge needs, compared with the broker; nothing is changed."""
    if form not in _FORMS:
        raise usage("--as", f"{form!r} is none of {', '.join(_FORMS)}")
    objects = objects_of(config, hooks or ())
    plans = (*objects.ours, *objects.sources)
    vhost = vhost_of(objects.settings.broker)
    if form == "definitions":
        print_json(definitions(plans, vhost))
    elif form == "operator":
        resources = manifests(plans, vhost, Cluster(cluster, cluster_namespace or ""))
        typer.echo(yaml.safe_dump_all(resources, sort_keys=False), nl=False)
    else:
        _end(asyncio.run(_found(objects)), everything=everything, as_json=as_json)


@app.local(
    epilog="""\b
Examples:
  amqp-bridge topology apply -c bridge.yaml
  amqp-bridge topology apply -c bridge.yaml --hook hk_cczzndvldsevgamw

\b
What exists already stays as it is: an object that differs is told, and has to be deleted by hand once it is empty.
The broker's user needs the rights to configure, write and read the objects.
Exit codes: 0 everything exists as it has to, 1 something differs or was refused, 2 wrong usage or configuration.""",
    own=(CONFIG, HOOK, JSON),
)
def apply(*, config: Path | None, hooks: list[str] | None, as_json: bool) -> None:
    """Create the exchanges, queues and bindings that are missing, as the start of the bridge does."""
    objects = objects_of(config, hooks or ())

    async def run() -> list[FoundObject]:
        found = await _found(objects)
        plans = (*objects.ours, *objects.sources)
        async with _broker(objects.settings) as (_, topology):
            for plan, each in zip(plans, found, strict=True):
                # Bindings cannot be seen: those of a queue that is right are created again.
                if each.state == "missing" or (each.state == "right" and plan in objects.ours):
                    await topology.make(plan)
        return await _found(objects)

    _end(asyncio.run(run()), everything=True, as_json=as_json)


@app.local(
    epilog="""\b
Examples:
  amqp-bridge topology remove -c bridge.yaml
  amqp-bridge topology remove -c bridge.yaml --discard --yes

\b
Stop every bridge with this prefix first. Queues of sources belong to their publishers and stay, and so does the
history. Lanes of hooks that neither the file nor the database knows are named by --hook.
Exit codes: 0 nothing of the bridge is left, 1 something waits or is in use, 2 wrong usage or configuration.""",
    own=(CONFIG, HOOK, flag("--discard", "Also queues in which messages wait: they are lost."), YES),
)
def remove(*, config: Path | None, hooks: list[str] | None, discard: bool, yes: bool) -> None:
    """Delete the bridge's exchanges and queues; refused while messages wait in them or a bridge consumes them."""
    objects = objects_of(config, hooks or ())
    queues = [each.name for each in objects.ours if each.kind == "queue"]

    async def counted() -> dict[str, tuple[int, int]]:
        async with _broker(objects.settings) as (_, topology):
            return await topology.counts(queues)

    async def delete() -> None:
        async with _broker(objects.settings) as (_, topology):
            for each in reversed(objects.ours):
                await topology.delete(each.kind, each.name)

    _refuse(asyncio.run(counted()), discard=discard)
    prefix = objects.settings.broker.prefix
    confirm(f"delete all exchanges and queues {prefix}.* of this bridge?", yes=yes)
    _refuse(asyncio.run(counted()), discard=discard)
    asyncio.run(delete())
    typer.echo(f"{count(len(objects.ours), 'object')} of {prefix}.* are gone")


def _refuse(counts: dict[str, tuple[int, int]], *, discard: bool) -> None:
    used = [name for name, (_, consumers) in sorted(counts.items()) if consumers]
    if used:
        raise Failure(["a bridge consumes these queues: stop it first", *used])
    full = [f"{name}: {count(ready, 'message')}" for name, (ready, _) in sorted(counts.items()) if ready]
    if full and not discard:
        raise Failure(["messages wait in these queues; --discard deletes them as well", *full])


async def _found(objects: Objects) -> list[FoundObject]:
    async with _broker(objects.settings) as (survey, _):
        ours = [await survey.compared(each) for each in objects.ours]
        return ours + [await survey.compared(each, passive=True) for each in objects.sources]


def _end(found: Sequence[FoundObject], *, everything: bool, as_json: bool) -> None:
    """Prints the objects, and ends with exit code 1 unless all are right."""
    states = Counter(each.state for each in found)
    if as_json:
        print_json({"ok": states["right"] == len(found), "objects": [_document(each) for each in found]})
    else:
        for each in found:
            if everything or each.state != "right":
                _print(each)
        told = f"{states['right']} ok, {states['missing']} missing, {states['other']} differ"
        typer.echo(told + (f", {states['unknown']} unknown" if states["unknown"] else ""))
    if states["right"] < len(found):
        raise typer.Exit(FAILED)


def _document(found: FoundObject) -> dict[str, Any]:
    shown = asdict(found)
    return {name: shown[name] for name in ("kind", "name", "state", "depth", "said", "made")}


def _print(found: FoundObject) -> None:
    depth = f"  {count(found.depth, 'message')}" if found.depth else ""
    typer.echo(f"{_MARKS[found.state]}{found.kind:8}  {visible(found.name)}{depth}")
    if found.state == "missing":
        typer.echo(f"            it has to be {visible(found.made)}")
    elif found.state != "right":
        typer.echo(f"            {visible(found.said)}")
