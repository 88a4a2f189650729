"""The connections to brokers that the settings ask for."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
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
    ends: "RepeatedEnds"
    more: list[Link] = field(default_factory=list)
    """To consume sources that have no room on the first, or whose messages end the connection."""

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
    ends = RepeatedEnds()
    watch = _LinkWatch(metrics, ends)
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
        ends=ends,
    )


_SOON = 30.0
"""A connection that ends within so many seconds did so over what it was made for; channels wait up to 15 s."""
_OFTEN = 3
_WITHIN = 60.0
_CRASH = "INTERNAL_ERROR"


class RepeatedEnds:
    """Connections that end again and again soon after they were made.

    RabbitMQ 3.10 is an example: with its plugin for AMQP 1.0 a message whose id is no text ends every connection that
    consumes it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.on_crashes: Callable[[str], None] = lambda _role: None
        """Hears of each role in which the broker ends connections over an error of its own."""
        self.sources: Callable[[str], Sequence[str]] = lambda _role: ()
        """The sources whose messages come through the connection, where nothing else does."""
        self._clock = clock
        self._made_at: dict[str, float] = {}
        self._ends: dict[str, deque[float]] = {}
        self._why: dict[str, str] = {}

    def made(self, role: str) -> None:
        """The connection is open."""
        self._made_at[role] = self._clock()

    def ended(self, role: str, why: str) -> None:
        """It went away, or could not be made."""
        now, made_at = self._clock(), self._made_at.pop(role, float("-inf"))
        if now - made_at > _SOON:
            return
        ends = self._ends.setdefault(role, deque(maxlen=_OFTEN))
        ends.append(now)
        if len(ends) < _OFTEN or now - ends[0] > _WITHIN:
            return
        self._why[role] = why
        events.connection_ends_again(role, why, self._suspect(role))
        if _CRASH in why:
            self.on_crashes(role)

    def problems(self) -> list[str]:
        """Each connection of which that holds now."""
        since = self._clock() - _WITHIN
        return [self._problem(role) for role in sorted(self._why) if self._ends[role][-1] > since]

    def _problem(self, role: str) -> str:
        told = f"the connection {role!r} ends again and again soon after it was made: {self._why[role]}"
        suspect = self._suspect(role)
        return (
            f"{told}; it consumes the source {suspect!r} alone, so look at the first messages of its queue"
            if suspect
            else told
        )

    def _suspect(self, role: str) -> str:
        sources = self.sources(role)
        return sources[0] if len(sources) == 1 else ""


class _LinkWatch(LinkWatch):
    """Counts connections and says when one went or came back."""

    def __init__(self, metrics: Metrics, ends: RepeatedEnds) -> None:
        self._rare = metrics.rare
        self._ends = ends
        self._lost_at: dict[str, float] = {}

    def connected(self, role: str, address: str) -> None:
        self._rare.connection(role).set(1)
        away = 0.0
        if role in self._lost_at:
            away = time.monotonic() - self._lost_at.pop(role)
            self._rare.reconnects.labels(role).inc()
        events.connection_back(role, address, away)
        self._ends.made(role)

    def lost(self, role: str, error: str) -> None:
        self._rare.connection(role).set(0)
        self._lost_at.setdefault(role, time.monotonic())
        events.connection_lost(role, error, 0.0)
        self._ends.ended(role, error)
