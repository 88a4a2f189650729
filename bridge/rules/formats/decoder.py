"""From a broker message to an event."""

from typing import Any
from zoneinfo import ZoneInfo

from bridge.model.event import Event, Message, Undecodable
from bridge.model.source import Source
from bridge.rules.formats.identity import webhook_id
from bridge.rules.formats.parse import parse
from bridge.rules.formats.registry import FORMATS, Read
from bridge.rules.formats.size import table_size
from bridge.rules.formats.text import event_type, utc_text

MAX_HEADERS = 100_000
"""Bytes of an encoded header table that may be published again; the frame holds 131,072."""
MAX_BODY = 134_217_728
"""Bytes of a body; what RabbitMQ 3.10 takes by default (`max_message_size`)."""


class Decoder:
    """Makes events of one source's messages; built once per source."""

    def __init__(self, source: Source, *, max_body: int = MAX_BODY, max_headers: int = MAX_HEADERS) -> None:
        self._source = source.name
        self._zone = ZoneInfo(source.timezone)
        self._fixed = None if source.format == "auto" else (source.format, FORMATS[source.format].read)
        self._max_body = max_body
        self._max_headers = max_headers

    def decode(self, message: Message, *, event_id: str, received_at: float) -> Event | Undecodable:
        """The event that `message` carries; never raises.

        A body that no format recognises, is not JSON, or is empty is an event all the same. `event_id` is
        the id it gets, `received_at` is in Unix seconds.
        """
        if refused := self._refused(message):
            return refused
        data = parse(message.body)
        name, read = self._format_of(data, message)
        found = read(data, message, self._zone)
        publisher_id = found.publisher_id or message.message_id or None
        return Event(
            id=event_id,
            source=self._source,
            type=_type_of(found.type, message),
            format=name,
            received_at=received_at,
            message=message,
            data=found.data,
            time=found.time or (utc_text(message.timestamp) if message.timestamp else None),
            publisher_id=publisher_id,
            webhook_id=webhook_id(self._source, publisher_id, message.body) if publisher_id else event_id,
        )

    def _format_of(self, data: Any, message: Message) -> tuple[str, Read]:
        if self._fixed:
            return self._fixed
        for name, (detect, read) in FORMATS.items():
            if detect(data, message):
                return name, read
        raise AssertionError("the last format takes everything")

    def _refused(self, message: Message) -> Undecodable | None:
        """Why no copy of the message could ever be published again, if so."""
        if len(message.body) > self._max_body:
            detail = f"the body has {len(message.body)} bytes, the limit is {self._max_body}"
            return Undecodable("body_too_large", detail)
        if message.headers and (size := table_size(message.headers)) > self._max_headers:
            detail = f"the headers take {size} bytes, the limit is {self._max_headers}"
            return Undecodable("headers_too_large", detail)
        return None


def _type_of(found: str | None, message: Message) -> str:
    for text in (found, message.type, message.routing_key):
        if text and (fit := event_type(text)):
            return fit
    return "unknown"
