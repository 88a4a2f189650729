"""Keycloak's events, as its RabbitMQ plugin publishes them; the routing key says what happened.

Source: aznamier/keycloak-event-listener-rabbitmq, `KK.EVENT.ADMIN.<realm>.<result>.<resource>.<operation>` and
`KK.EVENT.CLIENT.<realm>.<result>.<client>.<type>`; `time` is in milliseconds.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from bridge.model.event import Decoded, Message
from bridge.rules.formats.moments import from_milliseconds

APP_ID = "Keycloak"
ROUTING_KEYS = "KK.EVENT."
"""How its routing keys begin."""
KEYS = frozenset({"@class"})
_CLASSES = "com.github.aznamier.keycloak."


def in_body(data: Any) -> bool:
    """Whether the plugin's class is named."""
    name = data.get("@class") if isinstance(data, dict) else None
    return isinstance(name, str) and name.startswith(_CLASSES)


def read(data: Any, message: Message, _timezone: ZoneInfo) -> Decoded:
    """The routing key as type, if it is one of Keycloak's, and the whole body as data."""
    return Decoded(
        type=next((key for key in _routing_keys(message) if key.startswith(ROUTING_KEYS)), None),
        data=data,
        time=from_milliseconds(data.get("time")) if isinstance(data, dict) else None,
    )


def _routing_keys(message: Message) -> Iterator[str]:
    """The message's own, then those that it had before the broker dead-lettered it: a queue may name another."""
    yield message.routing_key
    deaths = message.headers.get("x-death")
    for death in deaths if isinstance(deaths, list) else ():
        keys = death.get("routing-keys") if isinstance(death, Mapping) else None
        yield from (key for key in (keys if isinstance(keys, list) else ()) if isinstance(key, str))
