"""Messages of AMQP 1.0 as RabbitMQ's plugin hands them to a queue: what their sections say, in the terms of AMQP 0-9-1.

RabbitMQ 3 (3.10.8) leaves application properties and properties encoded in headers; RabbitMQ 4 makes plain headers of the
former. The message's `type` is not the sender's: `binary` where the body is the sender's bytes, `amqp-1.0` where it is an
encoded section.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bridge.model.event import Message
from bridge.rules.bodies.spelling import to_json
from bridge.rules.codings.amqp10 import NoValue, section
from bridge.rules.formats.size import table_size

SECTION = "amqp-1.0"
"""The type of a message whose body is an encoded section."""
_MARKERS = frozenset({SECTION, "binary"})
_APPLICATION_PROPERTIES = "x-amqp-1.0-app-properties"
_PROPERTIES = "x-amqp-1.0-properties"
_SUBJECT = 3
_LONGEST_NAME = 255
_VALUE, _SEQUENCE = 0x77, 0x76


def with_plain_headers(message: Message, most: int) -> Message:
    """The message with its application properties as headers of their own, as RabbitMQ 4 has them.

    A header of that name wins. The encoded ones stay where all headers take no more than `most` bytes: of them the
    plugin makes what consumers of AMQP 1.0 get.
    """
    found = _held(message.headers, _APPLICATION_PROPERTIES)
    if not isinstance(found, dict) or not found:
        return message
    named = {name: _plain(value) for name, value in found.items() if len(name.encode()) <= _LONGEST_NAME}
    headers = {**named, **message.headers}
    if table_size(headers) > most:
        del headers[_APPLICATION_PROPERTIES]
    return replace(message, headers=headers)


def told_type(message: Message) -> str | None:
    """The type as the sender told it: in the property, or of AMQP 1.0 as the subject."""
    if message.type not in _MARKERS:
        return message.type
    found = _held(message.headers, _PROPERTIES)
    subject = found[_SUBJECT] if isinstance(found, list) and len(found) > _SUBJECT else None
    return subject if isinstance(subject, str) else None


def value_of(body: bytes) -> bytes | str | None:
    """What stands in a body that is an encoded section: text, bytes, or any other value as JSON in UTF-8.

    None for what is none, or too large.
    """
    try:
        code, value = section(body)
    except NoValue:
        return None
    if code not in (_VALUE, _SEQUENCE):
        return None
    if isinstance(value, (str, bytes)):
        return value
    made = to_json(value)
    return made if isinstance(made, bytes) else None


def _plain(value: Any) -> Any:
    """Bytes that are text as such, which is how they come out of a copy."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _held(headers: Mapping[str, Any], name: str) -> Any:
    encoded = headers.get(name)
    if isinstance(encoded, str):
        encoded = encoded.encode(errors="surrogatepass")  # bytes that happen to be text are read as such
    if not isinstance(encoded, bytes):
        return None
    try:
        return section(encoded)[1]
    except NoValue:
        return None
