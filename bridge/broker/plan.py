"""Everything of ours on the broker as a list, for whoever has to make it by hand or to compare it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from bridge.broker.topology import Names, queue_arguments
from bridge.ports.survey import Kind, Right
from bridge.rules.retry.ladder import STEPS


@dataclass(frozen=True, slots=True)
class Planned:
    """An exchange or a queue, durable. `type` is that of an exchange, `bindings` are exchanges and routing keys.

    `use` is the right that the bridge takes while it runs.
    """

    kind: Kind
    name: str
    type: Literal["fanout", "direct", ""] = ""
    use: Right | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    bindings: tuple[tuple[str, str], ...] = ()

    @property
    def made(self) -> str:
        """How it is made by hand, in words; arguments as JSON."""
        told = [f"a durable {self.type} exchange" if self.kind == "exchange" else "a durable queue"]
        if self.arguments:
            told.append(f"with the arguments {json.dumps(self.arguments)}")
        bound = [f"{exchange} with the routing key {json.dumps(key)}" for exchange, key in self.bindings]
        return " ".join(told) + ("; bind it to " + " and to ".join(bound) if bound else "")


def planned(
    names: Names, queue_type: Literal["quorum", "classic"], hooks: Sequence[str]
) -> Iterator[Planned]:
    """All shared objects and the lanes of these hooks, each after what it is bound to."""
    plain, dead = queue_arguments(queue_type, None), queue_arguments(queue_type, names.dead)
    yield Planned("exchange", names.orphans, "fanout")
    yield Planned("exchange", names.dead, "fanout")
    yield Planned("exchange", names.lanes, "direct", "write")
    yield Planned("exchange", names.requeue, "direct", None, {"alternate-exchange": names.orphans})
    yield Planned("exchange", names.control, "fanout", "write")
    for step in STEPS:
        yield Planned("exchange", names.delay(step), "fanout", "write")
    for store in (names.orphans, names.dead):
        yield Planned("queue", store, "", "read", plain, ((store, ""),))
    yield Planned("queue", names.events, "", "read", plain)
    for step in STEPS:
        arguments = queue_arguments(queue_type, names.requeue) | {"x-message-ttl": step * 1000}
        yield Planned("queue", names.delay(step), "", None, arguments, ((names.delay(step), ""),))
    for hook in hooks:
        yield Planned(
            "queue", names.lane(hook), "", "read", dead, ((names.requeue, hook), (names.lanes, hook))
        )
