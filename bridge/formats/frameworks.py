"""Formats of application frameworks and task queues: Celery, Dramatiq, NestJS, Symfony Messenger, Laravel, Spring AMQP,
MassTransit, NServiceBus.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from bridge.core.event import Decoded, Message
from bridge.formats.parse import singles
from bridge.formats.text import by_lower_name, from_milliseconds, from_seconds, from_text, from_value, text_of

# Celery: tasks of protocol 2 (header `task`) and 1 (keys `task` and `id`), and the events of its workers.
# Source: Celery documentation, "Message Protocol". Bodies may be pickled or msgpack: these are never read. A task has
# no time but the one at which it is due.


CELERY_EXCHANGE = "celeryev"
"""The exchange to which workers publish events."""
CELERY_HEADERS = frozenset({"task"})
CELERY_KEYS = frozenset({"task", "utcoffset"})
_PARTS_OF_A_TASK = frozenset({"args", "kwargs", "retries", "eta", "expires"})
_UNREAD = ("python-serialize", "pickle", "msgpack")


def has_celery_headers(data: Any, message: Message) -> bool:
    """Returns whether the header `task` is present with another header of protocol 2."""
    headers = message.headers
    return text_of(headers.get("task")) is not None and (
        "id" in headers or "lang" in headers or "root_id" in headers or _is_call(data)
    )


def is_celery_body(data: Any) -> bool:
    """Returns whether the body is a task of protocol 1, an event, or a list of events."""
    if isinstance(data, list):
        return bool(data) and all(isinstance(item, dict) and _is_event(item) for item in data)
    return isinstance(data, dict) and (_is_task(data) or _is_event(data))


def _is_task(data: Mapping[str, Any]) -> bool:
    named = isinstance(data.get("task"), str) and isinstance(data.get("id"), str)
    return named and not _PARTS_OF_A_TASK.isdisjoint(data)


def _is_event(data: Mapping[str, Any]) -> bool:
    return isinstance(data.get("type"), str) and all(
        name in data for name in ("hostname", "timestamp", "utcoffset")
    )


def read_celery(data: Any, message: Message, _timezone: ZoneInfo) -> Decoded:
    """Returns a task by its name, with `args` and `kwargs` as data, or an event by its type, with the body as data."""
    if message.content_type and any(kind in message.content_type.lower() for kind in _UNREAD):
        return _unread(message)
    task = text_of(message.headers.get("task"))
    if task is not None:
        return Decoded(type=task, data=_arguments(data), time=from_text(message.headers.get("eta")))
    if not isinstance(data, dict):
        return Decoded(data=data)
    if isinstance(data.get("task"), str):
        arguments = {"args": data.get("args", []), "kwargs": data.get("kwargs", {})}
        return Decoded(type=text_of(data["task"]), data=arguments, time=from_text(data.get("eta")))
    if "hostname" not in data:
        return Decoded(data=data)
    kind = data.get("type")
    return Decoded(
        type=kind if isinstance(kind, str) else None, data=data, time=from_seconds(data.get("timestamp"))
    )


def celery_envelope(data: Any, message: Message) -> Any:
    """Returns a task of protocol 2 with the keys of protocol 1: its headers and arguments.

    `headers` are the message's; `embed`, which holds callbacks, is dropped. Any other body is returned unchanged.
    """
    if "task" not in message.headers:
        return data
    whole: dict[str, Any] = {"headers": dict(message.headers), **message.headers}
    if isinstance(data, list) and len(data) >= 2:
        whole |= zip(("args", "kwargs", "embed"), data, strict=False)
    return whole


def _unread(message: Message) -> Decoded:
    return Decoded(
        type=text_of(message.headers.get("task")),
        time=from_text(message.headers.get("eta")),
        unread=f"bodies of type {message.content_type} are never read",
    )


def split_celery(data: Any, message: Message) -> Sequence[Message] | None:
    """Returns the messages of a list of events."""
    if "task" in message.headers or not isinstance(data, list) or not data:
        return None
    if not all(isinstance(item, dict) and "hostname" in item for item in data):
        return None
    return singles(message, message.content_type)


def _is_call(data: Any) -> bool:
    return isinstance(data, list) and len(data) == 3 and isinstance(data[1], dict)


def _arguments(data: Any) -> Any:
    """Returns the arguments of `[args, kwargs, embed]`, without `embed`, which holds callbacks."""
    return {"args": data[0], "kwargs": data[1]} if isinstance(data, list) and len(data) >= 2 else data


# Dramatiq: messages to its actors.
# Source: bogdanp/dramatiq, `message.py` and `encoder.py`: JSON with `queue_name`, `actor_name`, `args`, `kwargs`,
# `options`, `message_id` and `message_timestamp` in milliseconds.


DRAMATIQ_KEYS = frozenset({"actor_name"})


def is_dramatiq_body(data: Any) -> bool:
    """Returns whether the body names an actor and its arguments."""
    return (
        isinstance(data, dict)
        and isinstance(data.get("actor_name"), str)
        and "args" in data
        and "kwargs" in data
    )


def read_dramatiq(data: Any, _message: Message, _timezone: ZoneInfo) -> Decoded:
    """Returns the actor as type, the message's id and time, and `args` and `kwargs` as data."""
    if not isinstance(data, dict) or "actor_name" not in data:
        return Decoded(data=data)
    return Decoded(
        type=text_of(data["actor_name"]) if isinstance(data["actor_name"], str) else None,
        data={"args": data.get("args", []), "kwargs": data.get("kwargs", {})},
        time=from_milliseconds(data.get("message_timestamp")),
        publisher_id=text_of(data.get("message_id")),
    )


# NestJS microservices by its RabbitMQ transport: `pattern` and `data`, and `id` of requests. Source: nestjs/nest,
# `packages/microservices` (ClientRMQ, ServerRMQ). A pattern is text or an object, which Nest serializes as JSON.


NESTJS_KEYS = frozenset({"pattern"})
_KNOWN = frozenset({"pattern", "data", "id", "options"})


def is_nestjs_body(data: Any) -> bool:
    """Returns whether the body has a pattern and data, and no keys that Nest does not send."""
    return isinstance(data, dict) and "data" in data and data.keys() <= _KNOWN and _pattern(data) is not None


def read_nestjs(data: Any, _message: Message, _timezone: ZoneInfo) -> Decoded:
    """Returns the pattern as type, the id of a request, and the data."""
    if not isinstance(data, dict) or "pattern" not in data:
        return Decoded(data=data)
    return Decoded(type=_pattern(data), data=data.get("data"), publisher_id=text_of(data.get("id")))


def _pattern(data: dict[str, Any]) -> str | None:
    pattern = data["pattern"]
    if isinstance(pattern, dict) and pattern:
        try:
            return json.dumps(pattern, separators=(",", ":"), ensure_ascii=False)
        except RecursionError:
            return None
    return pattern if isinstance(pattern, str) and pattern else None


# Symfony Messenger with its JSON serializer, which puts the class into a header and other metadata into stamps. Source:
# symfony/messenger, `Transport/Serialization/Serializer.php`. Envelopes of PHP's serializer have no such header and are
# never parsed.


SYMFONY_HEADERS = frozenset({"type"})
_STAMPS = "x-message-stamp-"


def has_symfony_headers(_data: Any, message: Message) -> bool:
    """Returns whether the header names a namespaced PHP class, or stamps are present."""
    named = _class(message)
    return named is not None and (
        "\\" in named or any(name.lower().startswith(_STAMPS) for name in message.headers)
    )


def read_symfony(data: Any, message: Message, _timezone: ZoneInfo) -> Decoded:
    """Returns the class as type, and the whole body as data."""
    return Decoded(type=_class(message), data=data)


def _class(message: Message) -> str | None:
    return text_of(by_lower_name(message.headers).get("type"))


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


JAVA_SERIALIZED = "application/x-java-serialized-object"
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
    return content_type is not None and content_type.strip().lower().startswith(JAVA_SERIALIZED)


# MassTransit: an envelope with `messageType` and `message`, or raw JSON with the types in a header.
# Source: MassTransit documentation, "Interoperability" and "Serializers". Types are URNs such as
# `urn:message:Shop.Contracts:OrderPaid`, the most derived first; those of faults contain the failed type.


MASSTRANSIT_CONTENT_TYPE = "application/vnd.masstransit"
"""The prefix of its content types; only JSON is parsed."""
MASSTRANSIT_HEADERS = frozenset({"mt-messagetype"})
MASSTRANSIT_KEYS = frozenset({"messageType"})


def is_masstransit_body(data: Any) -> bool:
    """Returns whether the body is an envelope with a URN as type."""
    return (
        isinstance(data, dict) and "message" in data and (_first_type(data) or "").startswith("urn:message:")
    )


def read_masstransit(data: Any, message: Message, _timezone: ZoneInfo) -> Decoded:
    """Returns the first type, the inner message and its id; in raw mode the headers' values and the whole body."""
    headers = by_lower_name(message.headers)
    named = text_of(headers.get("mt-messagetype"))
    told = named.split(";", 1)[0].strip() if named else None
    sent_id = text_of(headers.get("messageid"))
    if not isinstance(data, dict) or "messageType" not in data:
        return Decoded(type=told, data=data, publisher_id=sent_id)
    return Decoded(
        type=_first_type(data) or told,
        data=data.get("message", data),
        time=from_text(data.get("sentTime")),
        publisher_id=text_of(data.get("messageId")) or sent_id,
    )


def _first_type(data: dict[str, Any]) -> str | None:
    types = data.get("messageType")
    first = types[0] if isinstance(types, list) and types else types
    return first if isinstance(first, str) else None


# NServiceBus: all metadata is in the headers. Source: Particular documentation, "Message headers".
# `NServiceBus.TimeSent` is not ISO 8601: a colon precedes the fraction. Types are assembly-qualified names separated by
# semicolons, the sent type first.


NSERVICEBUS_HEADERS = frozenset({"nservicebus.enclosedmessagetypes", "nservicebus.messageid"})
_FRACTION = re.compile(r"(\d\d:\d\d:\d\d):(\d)")


def read_nservicebus(data: Any, message: Message, _timezone: ZoneInfo) -> Decoded:
    """Returns type, id and time from the headers, and the whole body as data."""
    headers = by_lower_name(message.headers)
    types = text_of(headers.get("nservicebus.enclosedmessagetypes"))
    sent = text_of(headers.get("nservicebus.timesent"))
    return Decoded(
        type=_class_name(types) if types else None,
        data=data,
        time=from_text(_FRACTION.sub(r"\1.\2", sent, count=1)) if sent else None,
        publisher_id=text_of(headers.get("nservicebus.messageid")),
    )


def _class_name(types: str) -> str:
    """Returns the first type without its assembly; arguments of a generic type are kept, with their commas."""
    arguments, closing, rest = types.split(";", 1)[0].rpartition("]]")
    return (arguments + closing + rest.split(",", 1)[0]).strip()
