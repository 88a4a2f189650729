"""The formats by name: how each is read, and how a message that holds several events is split."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from bridge.model.event import Decoded, Message
from bridge.rules.formats import (
    celery,
    cloudevents,
    cockpit,
    debezium,
    dramatiq,
    gitlab,
    keycloak,
    laravel,
    masstransit,
    nestjs,
    nservicebus,
    oslo,
    phlix,
    plain,
    plinqx,
    splynx,
    spring,
    standard,
    symfony,
)

ReadEvent = Callable[[Any, Message, ZoneInfo], Decoded]
Envelope = Callable[[Any, Message], Any]
Split = Callable[[Any, Message], Sequence[Message] | None]


class Format(NamedTuple):
    """How the messages of one kind of publisher are read; no function ever raises.

    All are given the parsed body. `split` gives the single messages of one that holds several, each with its own
    bytes; None: it is a single one. Its message has a body that is not compressed. `envelope` gives all that the
    publisher said, where that is not the parsed body itself.
    """

    read: ReadEvent
    split: Split | None = None
    envelope: Envelope | None = None


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "cloudevents": Format(cloudevents.read, cloudevents.split, cloudevents.envelope),
        "celery": Format(celery.read, celery.split, celery.envelope),
        "masstransit": Format(masstransit.read),
        "nservicebus": Format(nservicebus.read),
        "spring": Format(spring.read),
        "laravel": Format(laravel.read),
        "keycloak": Format(keycloak.read),
        "oslo": Format(oslo.read, envelope=oslo.envelope),
        "debezium": Format(debezium.read),
        "gitlab": Format(gitlab.read),
        "nestjs": Format(nestjs.read),
        "symfony": Format(symfony.read),
        "dramatiq": Format(dramatiq.read),
        "standard": Format(standard.read),
        "splynx": Format(splynx.read),
        "phlix": Format(phlix.read),
        "plinqx": Format(plinqx.read),
        "cockpit": Format(cockpit.read),
        "json": Format(plain.read),
    }
)
