"""What `auto` does: find the format of a message by the signs that it carries.

The order of precedence: content type and other properties, headers, keys of the body that only one publisher has,
then the systems whose bodies are known by several keys together. What none knows is `json`.
"""

from collections.abc import Callable
from typing import Any

from bridge.model.event import Message
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
    plinqx,
    splynx,
    spring,
    standard,
    symfony,
)

_UNTOLD = frozenset({None, "application/json"})
_CONTENT_TYPES = (
    (cloudevents.CONTENT_TYPE, "cloudevents"),
    (masstransit.CONTENT_TYPE, "masstransit"),
    (spring.SERIALISED, "spring"),
)
# in order of precedence; each only where one of its headers is there
_IN_HEADERS: tuple[tuple[str, frozenset[str], Callable[[Any, Message], bool]], ...] = (
    ("cloudevents", cloudevents.HEADERS, cloudevents.in_headers),
    ("celery", celery.HEADERS, celery.in_headers),
    ("masstransit", masstransit.HEADERS, masstransit.in_headers),
    ("nservicebus", nservicebus.HEADERS, nservicebus.in_headers),
    ("gitlab", gitlab.HEADERS, gitlab.in_headers),
    ("laravel", laravel.HEADERS, laravel.in_headers),
    ("spring", spring.HEADERS, spring.in_headers),
    ("symfony", symfony.HEADERS, symfony.in_headers),
)
_HEADERS = frozenset[str]().union(*(names for _, names, _ in _IN_HEADERS))
_IN_BODY: tuple[tuple[str, frozenset[str], Callable[[Any], bool]], ...] = (
    ("cloudevents", cloudevents.KEYS, cloudevents.in_body),
    ("celery", celery.KEYS, celery.in_body),
    ("masstransit", masstransit.KEYS, masstransit.in_body),
    ("laravel", laravel.KEYS, laravel.in_body),
    ("keycloak", keycloak.KEYS, keycloak.in_body),
    ("oslo", oslo.KEYS, oslo.in_body),
    ("debezium", debezium.KEYS, debezium.in_body),
    ("gitlab", gitlab.KEYS, gitlab.in_body),
    ("dramatiq", dramatiq.KEYS, dramatiq.in_body),
    ("nestjs", nestjs.KEYS, nestjs.in_body),
)
_KEYS = frozenset[str]().union(*(names for _, names, _ in _IN_BODY))
_IN_LISTS = (("cloudevents", cloudevents.in_body), ("celery", celery.in_body))


def recognise(data: Any, message: Message) -> str:
    """The name of the format of a message and of its parsed body; never raises."""
    name = _by_properties(message)
    if name is None and message.headers:
        name = _by_headers(data, message)
    if name is None:
        name = _by_body(data)
    return name or "json"


def _by_properties(message: Message) -> str | None:
    if message.content_type not in _UNTOLD:
        told = (message.content_type or "").strip().lower()
        for beginning, name in _CONTENT_TYPES:
            if told.startswith(beginning):
                return name
    if message.app_id == keycloak.APP_ID or message.routing_key.startswith(keycloak.ROUTING_KEYS):
        return "keycloak"
    return "celery" if message.exchange == celery.EXCHANGE else None


def _by_headers(data: Any, message: Message) -> str | None:
    there = [name for header in message.headers if (name := header.lower()) in _HEADERS]
    if not there:
        return None
    for name, headers, known in _IN_HEADERS:
        if not headers.isdisjoint(there) and known(data, message):
            return name
    return None


def _by_body(data: Any) -> str | None:
    if isinstance(data, dict):
        # most bodies have none of these keys: one look instead of eight
        told = None if _KEYS.isdisjoint(data) else _by_keys(data)
        return told or _by_several_keys(data)
    if isinstance(data, list):
        return next((name for name, known in _IN_LISTS if known(data)), None)
    return None


def _by_keys(data: dict[str, Any]) -> str | None:
    for name, keys, known in _IN_BODY:
        if not keys.isdisjoint(data) and known(data):
            return name
    return None


def _by_several_keys(data: dict[str, Any]) -> str | None:
    if splynx.in_body(data):
        return "splynx"
    if phlix.in_body(data):
        return "phlix"
    if plinqx.in_body(data):
        return "plinqx"
    if cockpit.in_body(data):
        return "cockpit"
    return "standard" if standard.in_body(data) else None
