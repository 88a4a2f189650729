"""The registry of formats: how each is detected, read, and split into several events."""

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from bridge.codings.inflating import plain_of
from bridge.codings.labels import is_plain, labels_of
from bridge.core.base import value
from bridge.core.event import Content, Decoded, Event, Message
from bridge.formats import cloudevents, frameworks, platforms
from bridge.formats.forms import form_data, is_form
from bridge.formats.parse import BOUNDS, Bounds, growth_of, read
from bridge.formats.platforms import ReadEvent, reader
from bridge.formats.text import from_milliseconds, from_text, from_value

# The fallback format `json` for any body, JSON or not, and Standard Webhooks payloads.
# No key of the body is taken as type or id: such keys belong to the event's own data.


_TIME_KEYS = ("timestamp", "time", "occurred_at", "created_at")


def read_plain_json(data: Any, message: Message, timezone: ZoneInfo) -> Decoded:
    """Returns the whole body as data; without an AMQP timestamp, the time of the body's usual keys.

    RabbitMQ's own events (exchange `amq.rabbitmq.event`) have a header with milliseconds.
    """
    if message.timestamp is not None:
        return Decoded(data=data)
    found = from_milliseconds(message.headers.get("timestamp_in_ms")) if message.headers else None
    if found is None and isinstance(data, dict):
        found = _time(data, timezone)
    return Decoded(data=data, time=found)


def _time(data: dict[str, Any], timezone: ZoneInfo) -> str | None:
    for key in _TIME_KEYS:
        if key in data and (found := from_value(data[key], timezone)):
            return found
    date, time = data.get("date"), data.get("time")
    return from_text(f"{date} {time}", timezone) if isinstance(date, str) and isinstance(time, str) else None


# Payloads as recommended by Standard Webhooks: `type`, `timestamp` and `data`. Source:
# standard-webhooks/standard-webhooks, spec, "Payload structure".


_TYPE = re.compile(r"[A-Za-z0-9_]+(?:[./:-][A-Za-z0-9_]+)*")


def is_standard_body(data: dict[str, Any]) -> bool:
    """Returns whether a type, a time as text and an object of data are present."""
    kind = data.get("type")
    return (
        isinstance(kind, str)
        and isinstance(data.get("data"), dict)
        and _TYPE.fullmatch(kind) is not None
        and from_text(data.get("timestamp")) is not None
    )


read_standard = reader("type", "data", "timestamp")

Envelope = Callable[[Any, Message], Any]
Split = Callable[[Any, Message], Sequence[Message] | None]


class Format(NamedTuple):
    """The functions of one format; none of them raises.

    All take the parsed body. `split` returns the messages of a batch, each with its own bytes; None: a single event.
    Its message has a decompressed body. `envelope` returns everything that the publisher sent, if that is not the
    parsed body itself.
    """

    read: ReadEvent
    split: Split | None = None
    envelope: Envelope | None = None


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "cloudevents": Format(cloudevents.read_cloudevents, cloudevents.split, cloudevents.envelope),
        "celery": Format(frameworks.read_celery, frameworks.split_celery, frameworks.celery_envelope),
        "masstransit": Format(frameworks.read_masstransit),
        "nservicebus": Format(frameworks.read_nservicebus),
        "spring": Format(frameworks.read_spring),
        "laravel": Format(frameworks.read_laravel),
        "keycloak": Format(platforms.read_keycloak),
        "oslo": Format(platforms.read_oslo, envelope=platforms.oslo_envelope),
        "debezium": Format(platforms.read_debezium),
        "gitlab": Format(platforms.read_gitlab),
        "nestjs": Format(frameworks.read_nestjs),
        "symfony": Format(frameworks.read_symfony),
        "dramatiq": Format(frameworks.read_dramatiq),
        "standard": Format(read_standard),
        "splynx": Format(platforms.read_splynx),
        "phlix": Format(platforms.read_phlix),
        "plinqx": Format(platforms.read_plinqx),
        "cockpit": Format(platforms.read_cockpit),
        "json": Format(read_plain_json),
    }
)


# Format detection (`auto`). Order of precedence: content type and other properties, headers, keys of the body that only
# one publisher has, then systems whose bodies are recognized by several keys together. Anything else is `json`.


_UNTOLD = frozenset({None, "application/json"})
_CONTENT_TYPES = (
    (cloudevents.CONTENT_TYPE, "cloudevents"),
    (frameworks.MASSTRANSIT_CONTENT_TYPE, "masstransit"),
    (frameworks.JAVA_SERIALIZED, "spring"),
)


def _suffices(_data: Any, _message: Message) -> bool:
    """Returns True: these headers are the system's own."""
    return True


# in order of precedence; each is tried only if one of its headers is present
_IN_HEADERS: tuple[tuple[str, frozenset[str], Callable[[Any, Message], bool]], ...] = (
    ("cloudevents", cloudevents.CLOUDEVENTS_HEADERS, _suffices),
    ("celery", frameworks.CELERY_HEADERS, frameworks.has_celery_headers),
    ("masstransit", frameworks.MASSTRANSIT_HEADERS, _suffices),
    ("nservicebus", frameworks.NSERVICEBUS_HEADERS, _suffices),
    ("gitlab", platforms.GITLAB_HEADERS, _suffices),
    ("laravel", frameworks.LARAVEL_HEADERS, frameworks.has_laravel_headers),
    ("spring", frameworks.SPRING_HEADERS, frameworks.has_spring_headers),
    ("symfony", frameworks.SYMFONY_HEADERS, frameworks.has_symfony_headers),
)
_HEADERS = frozenset[str]().union(*(names for _, names, _ in _IN_HEADERS))
_IN_BODY: tuple[tuple[str, frozenset[str], Callable[[Any], bool]], ...] = (
    ("cloudevents", cloudevents.CLOUDEVENTS_KEYS, cloudevents.is_cloudevents_body),
    ("celery", frameworks.CELERY_KEYS, frameworks.is_celery_body),
    ("masstransit", frameworks.MASSTRANSIT_KEYS, frameworks.is_masstransit_body),
    ("laravel", frameworks.LARAVEL_KEYS, frameworks.is_laravel_body),
    ("keycloak", platforms.KEYCLOAK_KEYS, platforms.is_keycloak_body),
    ("oslo", platforms.OSLO_KEYS, platforms.is_oslo_body),
    ("debezium", platforms.DEBEZIUM_KEYS, platforms.is_debezium_body),
    ("gitlab", platforms.GITLAB_KEYS, platforms.is_gitlab_body),
    ("dramatiq", frameworks.DRAMATIQ_KEYS, frameworks.is_dramatiq_body),
    ("nestjs", frameworks.NESTJS_KEYS, frameworks.is_nestjs_body),
)
_KEYS = frozenset[str]().union(*(names for _, names, _ in _IN_BODY))
_IN_LISTS = (
    ("cloudevents", cloudevents.is_cloudevents_body),
    ("celery", frameworks.is_celery_body),
)


def recognise(data: Any, message: Message) -> str:
    """Returns the name of the detected format. Never raises."""
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
    if message.app_id == platforms.KEYCLOAK_APP_ID or message.routing_key.startswith(
        platforms.KEYCLOAK_ROUTING_KEYS
    ):
        return "keycloak"
    return "celery" if message.exchange == frameworks.CELERY_EXCHANGE else None


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
        # most bodies have none of these keys: one lookup instead of eight
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
    if platforms.is_splynx_body(data):
        return "splynx"
    if platforms.is_phlix_body(data):
        return "phlix"
    if platforms.is_plinqx_body(data):
        return "plinqx"
    if platforms.is_cockpit_body(data):
        return "cockpit"
    return "standard" if is_standard_body(data) else None


# The content of a message body, the parsed whole and its data; also of a copy, whose format is known.


MAX_BODY = 134_217_728
"""Maximum bytes of a body: RabbitMQ 3.10's default `max_message_size`."""
_ANY_ZONE = ZoneInfo("UTC")


AT_ONCE = 262_144
"""Bytes that are parsed on the event loop; more would delay other work."""
_MANY = 4000
"""Values that are parsed and filtered on the event loop: 2 us each if the engine cannot take them unchanged, for
each expression that reads all of them."""
_FIELD = 150
"""Bytes of a form's field in memory, measured with Python 3.11, in addition to its text."""
_BETWEEN = (b",", b"[", b"{", b":", b"&", b"%", b"\n--")


class Heavy(Exception):
    """The body is too large to be decompressed or parsed on the event loop."""


def content_of(message: Message, form: str, bounds: Bounds = BOUNDS, at_once: int | None = None) -> Content:
    """Returns the content of a message in this format, as the decoder finds it; for a format unknown to this
    version the data are the whole body. Raises as `read_body` does.
    """
    body = read_body(message, bounds, at_once)
    known = FORMATS.get(form)
    found = Decoded(data=body.parsed) if known is None else known.read(body.parsed, message, _ANY_ZONE)
    return body.content(found)


@value(frozen=True, slots=True)
class Read:
    """A parsed body: its plain bytes, None if its codings cannot be removed, and its value.

    `fault` says why there is no value; it is empty for null. `weight` is the approximate size of the value in memory,
    or the bytes that must be read to find that it is too large.
    """

    plain: bytes | None
    parsed: Any
    fault: str
    weight: int = 0

    def content(self, found: Decoded) -> Content:
        """Returns the content with the data that a format found; without data if the format is never parsed."""
        if found.data is not None:
            return Content(found.data, self.parsed, weight=self.weight)
        if found.unread:
            return Content(fault=found.unread, weight=self.weight)
        return Content(None, self.parsed, self.fault, self.weight)


def read_body(message: Message, bounds: Bounds = BOUNDS, at_once: int | None = None) -> Read:
    """Returns the message's body decompressed and parsed, within the limits.

    Raises Heavy, and nothing else, if more than `at_once` bytes must be parsed.
    """
    body: bytes | None = message.body
    fault = ""
    if not is_plain(message):
        plain = plain_of(message, bounds.inflated if at_once is None else min(at_once, bounds.inflated))
        body, fault = plain.body, plain.fault
    if at_once is not None and (body is None or len(body) > at_once or _has_many_values(body)):
        raise Heavy
    if body is None:
        return Read(None, None, fault, bounds.inflated)
    parsed, fault = read(body, bounds)
    weight = len(body) if fault else growth_of(body)
    if fault and message.content_type is not None and is_form(message.content_type):
        # Only if JSON parsing failed: JSON is often labelled as a form.
        weight += _FIELD * body.count(b"&")
        return Read(body, *form_data(body, message.content_type, labels_of(message).charset), weight)
    if fault and (unknown := labels_of(message).unknown):
        fault += f"; {unknown!r} names no content coding and no character set"
    return Read(body, parsed, fault, weight)


def _has_many_values(body: bytes) -> bool:
    """Returns whether the body may have many values, by the separators of JSON and forms."""
    return len(body) > _MANY and sum(map(body.count, _BETWEEN)) > _MANY


# The envelope of an event; built only on request.


def envelope_of(event: Event) -> Any:
    """Returns the whole message as its format reads it: usually the parsed body, of which `data` is a part."""
    known = FORMATS.get(event.format)
    if known is None or known.envelope is None:
        return event.parsed
    return known.envelope(event.parsed, event.message)


def attributes_of(event: Event) -> Mapping[str, Any]:
    """Returns the attributes and extensions of a CloudEvent; of other events none."""
    if event.format != "cloudevents":
        return {}
    return cloudevents.all_attributes(event.parsed, event.message)
