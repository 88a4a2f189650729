"""The bridge's objects on the broker in forms that others create them from: RabbitMQ's definitions, and Kubernetes manifests."""

import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from bridge.amqp.topology import Planned

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
