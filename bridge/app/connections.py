"""The connections to brokers that the settings ask for."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bridge.amqp.connection import Link, LinkWatch, Login
from bridge.app.allocator import usual_budget
from bridge.checks.broker_address import broker_address
from bridge.core.budget import Budget
from bridge.settings.tree import Settings
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Links:
    """The connections to the broker, one for each role, and one for each other broker."""

    consume: Link
    publish: Link
    topology: Link
    others: Mapping[str, Link]
    more: list[Link] = field(default_factory=list)
    """To consume sources that have no room on the first."""

    def all(self) -> list[Link]:
        """Every one of them."""
        return [self.consume, self.publish, self.topology, *self.others.values(), *self.more]

    def spread(self, sources: int) -> list[Link]:
        """Have room for the consumers of so many sources: gives the connections that it takes beside the first.

        Each source has a channel of its own, so that what ends one ends no other, and a broker may allow few of them
        (`channel_max`). The first connection must have been made.
        """
        needed = (sources - 1) // self.consume.fair_share
        self.more.extend(self.consume.another(f"consume:{number + 2}") for number in range(needed))
        return self.more

    def of_source(self, position: int) -> Link:
        """The connection for the consumer of the source at this position."""
        return [self.consume, *self.more][position // self.consume.fair_share]


def make_links(settings: Settings, metrics: Metrics, login: Callable[[str], Login] | None = None) -> Links:
    """The connections that the settings ask for, none of them open yet; all but one count in one budget of memory.

    The one for the topology hears of little, and has to go on being read where memory is short. `login` gives that to
    the broker of a name, which is empty for the one that is consumed from.
    """
    budget = Budget(settings.limits.memory or usual_budget())
    watch = _LinkWatch(metrics)
    of: Callable[[str], Login | None] = login or (lambda _name: None)
    broker = settings.broker
    address = broker_address(broker, broker)
    return Links(
        consume=Link("consume", address, watch, of(""), budget),
        publish=Link("publish", address, watch, of(""), budget),
        topology=Link("topology", address, watch, of("")),
        others={
            name: Link(
                f"publish:{name}", broker_address(other, broker, f"brokers.{name}"), watch, of(name), budget
            )
            for name, other in settings.brokers.items()
        },
    )


class _LinkWatch(LinkWatch):
    """Counts connections and says when one went or came back."""

    def __init__(self, metrics: Metrics) -> None:
        self._rare = metrics.rare
        self._lost_at: dict[str, float] = {}

    def connected(self, role: str, address: str) -> None:
        self._rare.connection(role).set(1)
        away = 0.0
        if role in self._lost_at:
            away = time.monotonic() - self._lost_at.pop(role)
            self._rare.reconnects.labels(role).inc()
        events.connection_back(role, address, away)

    def lost(self, role: str, error: str) -> None:
        self._rare.connection(role).set(0)
        self._lost_at.setdefault(role, time.monotonic())
        events.connection_lost(role, error, 0.0)
