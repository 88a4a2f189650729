"""Keycloak, Laravel and Spring AMQP. Keycloak's events, as its RabbitMQ plugin publishes them: the routing key is the
type.

Source: aznamier/keycloak-event-listener-rabbitmq, `KK.EVENT.ADMIN.<realm>.<result>.<resource>.<operation>` and
`KK.EVENT.CLIENT.<realm>.<result>.<client>.<type>`; `time` is in milliseconds.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from bridge.core.event import Decoded, Message
from bridge.formats.text import by_lower_name, from_milliseconds, from_value, text_of

APP_ID = "Keycloak"
ROUTING_KEYS = "KK.EVENT."
"""The prefix of its routing keys."""
KEYCLOAK_KEYS = frozenset({"@class"})
_CLASSES = "com.github.aznamier.keycloak."


def is_keycloak_body(data: Any) -> bool:
    """Returns whether the plugin's class is named."""
    name = data.get("@class") if isinstance(data, dict) else None
    return isinstance(name, str) and name.startswith(_CLASSES)


def read_keycloak(data: Any, message: Message, _timezone: ZoneInfo) -> Decoded:
    """Returns the routing key as type, if it is one of Keycloak's, and the whole body as data."""
    return Decoded(
        type=next((key for key in _routing_keys(message) if key.startswith(ROUTING_KEYS)), None),
        data=data,
        time=from_milliseconds(data.get("time")) if isinstance(data, dict) else None,
    )


def _routing_keys(message: Message) -> Iterator[str]:
    """Yield the message's routing key, then those from before it was dead-lettered: a queue may replace the key."""
    yield message.routing_key
    deaths = message.headers.get("x-death")
    for death in deaths if isinstance(deaths, list) else ():
        keys = death.get("routing-keys") if isinstance(death, Mapping) else None
        yield from (key for key in (keys if isinstance(keys, list) else ()) if isinstance(key, str))


# Laravel's queued jobs, by the RabbitMQ drivers of its queue: `job`, `displayName` and `data`. Source:
# Illuminate\Queue\Queue::createPayload. `data.command` is serialized PHP and stays text. A job has no time; its id
# stays the same over its retries.


LARAVEL_HEADERS = frozenset({"laravel"})
LARAVEL_KEYS = frozenset({"displayName"})


def has_laravel_headers(data: Any, message: Message) -> bool:
    """Returns whether the driver's header is present with a job."""
    return isinstance(message.headers.get("laravel"), dict) and isinstance(data, dict) and "job" in data


def is_laravel_body(data: Any) -> bool:
    """Returns whether the body has a job and its display name."""
    return (
        isinstance(data, dict)
        and isinstance(data.get("job"), str)
        and isinstance(data.get("displayName"), str)
    )


def read_laravel(data: Any, _message: Message, _timezone: ZoneInfo) -> Decoded:
    """Returns the display name as type, and the job's data."""
    if not isinstance(data, dict):
        return Decoded(data=data)
    name = data.get("displayName") or data.get("job")
    return Decoded(type=text_of(name) if isinstance(name, str) else None, data=data.get("data", data))


# Spring AMQP with JSON, which names the Java class in a header, and Spring Cloud Stream, which has no such header.
# Source: Spring AMQP reference, "Message converters"; Spring Cloud Stream adds the headers `contentType`, `id` and
# `timestamp` (milliseconds). Serialized Java objects are never parsed.


SERIALISED = "application/x-java-serialized-object"
"""The content type of serialized Java objects."""
SPRING_HEADERS = frozenset({"__typeid__", "contenttype"})


def has_spring_headers(_data: Any, message: Message) -> bool:
    """Returns whether the class or Spring's spelling of the content-type header is present."""
    return "contentType" in message.headers or text_of(message.headers.get("__TypeId__")) is not None


def read_spring(data: Any, message: Message, timezone: ZoneInfo) -> Decoded:
    """Returns the class as type, the time of Spring Cloud Stream if present, and the whole body as data."""
    headers = by_lower_name(message.headers)
    told = headers.get("timestamp")
    unread = "what Java serialised is never read" if _is_serialised(message.content_type) else ""
    return Decoded(
        type=text_of(headers.get("__typeid__")),
        data=None if unread else data,
        time=from_milliseconds(told) if isinstance(told, (int, float)) else from_value(told, timezone),
        unread=unread,
    )


def _is_serialised(content_type: str | None) -> bool:
    return content_type is not None and content_type.strip().lower().startswith(SERIALISED)
