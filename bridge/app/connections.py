"""The connections to brokers that the settings ask for."""

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.broker.link import Address, Link, LinkWatch
from bridge.settings.tree import Broker, BrokerTls, OtherBroker, Settings
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Links:
    """The connections to the broker, one for each role, and one for each other broker."""

    consume: Link
    publish: Link
    topology: Link
    others: Mapping[str, Link]

    def all(self) -> list[Link]:
        """Every one of them."""
        return [self.consume, self.publish, self.topology, *self.others.values()]


def make_links(settings: Settings, metrics: Metrics) -> Links:
    """The connections that the settings ask for, none of them open yet."""
    watch = _LinkWatch(metrics)
    broker = settings.broker
    address = broker_address(broker, broker)
    return Links(
        consume=Link("consume", address, watch),
        publish=Link("publish", address, watch),
        topology=Link("topology", address, watch),
        others={
            name: Link(f"publish:{name}", broker_address(other, broker), watch)
            for name, other in settings.brokers.items()
        },
    )


def broker_address(where: Broker | OtherBroker, broker: Broker) -> Address:
    """How to connect to `where`, with the bounds of `broker`."""
    return Address(
        urls=[url.get_secret_value() for url in where.url],
        heartbeat=broker.heartbeat,
        connect_timeout=broker.connect_timeout,
        tls=_tls(where.tls),
    )


def _tls(tls: BrokerTls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca)
    if tls.cert is not None:
        context.load_cert_chain(tls.cert, tls.key)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class _LinkWatch(LinkWatch):
    """Counts connections and says when one went or came back."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._lost_at: dict[str, float] = {}

    def connected(self, role: str, address: str) -> None:
        instruments = self._metrics.connection(role)
        instruments.up.value = 1
        away = 0.0
        if role in self._lost_at:
            away = time.monotonic() - self._lost_at.pop(role)
            instruments.reconnects.value += 1
        events.connection_back(role, address, away)

    def lost(self, role: str, error: str) -> None:
        self._metrics.connection(role).up.value = 0
        self._lost_at.setdefault(role, time.monotonic())
        events.connection_lost(role, error, 0.0)
