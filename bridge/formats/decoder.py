"""The decoder: turns a broker message into its event or its batch of events."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from cel_expr_python import cel  # type: ignore[import-untyped]  # has stubs, but no py.typed (0.1.3)

from bridge.codings.amqp10 import told_type, with_plain_headers
from bridge.codings.inflating import plain_message
from bridge.core.event import Event, Message, Received, Refused, Source, Undecodable, refused_whole
from bridge.expressions.engine import TEXTS, compile_giving, view_for
from bridge.formats.parse import BOUNDS, Bounds
from bridge.formats.platforms import ReadEvent
from bridge.formats.registry import FORMATS, MAX_BODY, Read, Split, read_body, recognise
from bridge.formats.text import (
    event_type,
    fitting_id,
    fitting_type,
    table_size,
    text_of,
    utc_text,
    webhook_id,
)
from bridge.wire.copies import FORGED, INLET, with_visible_headers
from bridge.wire.headers import SignedInletMark, SignedInletMarkReader

# The source's own expressions for type and publisher's id.


def compile_told(text: str) -> cel.Expression:
    """Returns the expression; raises ValueError, with the position, if it gives neither text nor a whole number."""
    return compile_giving(text, TEXTS, "text or a whole number")


def told_by(source: Source) -> "SourceExpressions | None":
    """Returns the source's expressions, None if it has none. Raises ValueError as `compile_told` does."""
    return SourceExpressions(source) if source.type or source.id else None


class SourceExpressions:
    """The compiled expressions of one source; they see the event as its format decoded it."""

    def __init__(self, source: Source) -> None:
        """Compile the expressions. Raises ValueError as `compile_told` does."""
        self._source = source.name
        self._type = _Asked(source.type) if source.type else None
        self._id = _Asked(source.id) if source.id else None

    def of(self, event: Event) -> Event:
        """Returns the event with the type and publisher's id that the expressions return. Never raises."""
        kind = self._type and event_type(self._type.of(event) or "")
        own_id = self._id and self._id.of(event)
        if own_id:
            own_id = fitting_id(own_id)
            to_receivers = webhook_id(self._source, own_id, event.message.body)
            event = replace(event, publisher_id=own_id, webhook_id=to_receivers)
        return replace(event, type=kind) if kind else event


class _Asked:
    def __init__(self, text: str) -> None:
        self._expression = compile_told(text)
        self._view = view_for(text)

    def of(self, event: Event) -> str | None:
        """Returns the value; None if it is missing, empty, or neither text nor a whole number."""
        try:
            value = self._expression.eval(self._view.of(event))
            return None if value.type() == cel.Type.ERROR else text_of(value.value())
        except (RuntimeError, ValueError):  # such as an exceeded iteration budget (10,000)
            return None


MAX_HEADERS = 100_000
"""Maximum bytes of a header table that can be published again; the frame holds 131,072."""
MAX_EVENTS = 10_000
"""Maximum events of one message; all of them are held until the last one is settled."""

NewId = Callable[[], str]


Genuine = Callable[[Message], bool]
"""The function that returns whether a bridge with this history wrote the message. Never raises."""
Misfit = Callable[[Any], str | None]
"""The function that returns the validation error of a parsed body, with its path; None if valid. Never raises."""


class _Common(NamedTuple):
    """The fields that all events of one message share."""

    form: str
    read: ReadEvent
    arrival: SignedInletMark | None
    received_at: float


class Decoder:
    """The decoder of one source's messages; built once per source."""

    def __init__(
        self,
        source: Source,
        *,
        max_body: int = MAX_BODY,
        max_headers: int = MAX_HEADERS,
        arrivals: SignedInletMarkReader | None = None,
        misfit: Misfit | None = None,
        genuine: Genuine | None = None,
        bounds: Bounds = BOUNDS,
    ) -> None:
        """Prepare the decoder. `arrivals` reads inlet marks; a body with a `misfit`, or a message that is not
        `genuine` (if given), is undecodable. `bounds` limit parsing. Raises ValueError for an invalid expression of
        the source.
        """
        self._source = source.name
        self._zone = ZoneInfo(source.timezone)
        self._format = None if source.format == "auto" else source.format
        self._max_body = max_body
        self._max_headers = max_headers
        self._arrivals = arrivals
        self._misfit = misfit
        self._genuine = genuine
        self._told = told_by(source)
        self._bounds = bounds

    def decode(
        self, message: Message, *, new_id: NewId, received_at: float, at_once: int | None = None
    ) -> Received:
        """Returns the event that `message` carries, or the events of a batch.

        Raises Heavy, and nothing else, if more than `at_once` bytes must be parsed. Thread-safe.

        A body that no format recognizes, that is not JSON, or is empty still becomes an event, and so does an empty
        batch. `new_id` generates the id of each event; `received_at` is in Unix seconds, rounded to milliseconds.
        """
        if why := self._refused(message):
            return refused_whole(message, why)
        original = message
        if message.headers:
            message = with_plain_headers(message, self._max_headers)
        body = read_body(message, self._bounds, at_once)
        name = self._format or recognise(body.parsed, message)
        form = FORMATS[name]
        arrival = None
        if self._arrivals is not None and message.headers and INLET in message.headers:
            arrival = self._arrivals.read(message)
        common = _Common(name, form.read, arrival, int(received_at * 1000) / 1000)
        if form.split is not None and body.plain is not None:
            # A part of a compressed body is not compressed.
            whole = plain_message(message, body.plain)
            if too_many := _too_many(form.split, body.parsed, whole):
                return refused_whole(original, too_many)
            if singles := form.split(body.parsed, whole):
                return self._batch(singles, common, new_id)
        made = self._event(message, body, common, new_id())
        return Received((made,)) if isinstance(made, Event) else refused_whole(original, made)

    def _batch(self, singles: Sequence[Message], common: _Common, new_id: NewId) -> Received:
        events: list[Event] = []
        refused: list[Refused] = []
        for position, single in enumerate(singles):
            body = read_body(single, self._bounds)
            made = self._event(single, body, common, new_id(), f"#{position}")
            if isinstance(made, Event):
                events.append(made)
            else:
                refused.append(Refused(single, made, position))
        return Received(tuple(events), tuple(refused), is_batch=True)

    def _event(
        self, message: Message, body: Read, common: _Common, event_id: str, position: str = ""
    ) -> Event | Undecodable:
        """Returns one event. `position` in a batch distinguishes events that only have the message's id."""
        if self._misfit is not None and (fault := _fault(self._misfit, body)):
            return Undecodable("schema_mismatch", fault)
        name, read, arrival, received_at = common
        found = read(body.parsed, message, self._zone)
        content = body.content(found)
        kind, identity, sent_id = found.type, None, None
        if arrival is not None:
            kind, identity = arrival.event_type or kind, arrival.identity
            sent_id = None if position else arrival.webhook_id
        if message.headers:
            message = with_visible_headers(message)
        own_id = found.publisher_id or message.message_id
        publisher_id = fitting_id(own_id) if own_id else None
        if publisher_id and not sent_id:
            apart = "" if found.publisher_id else position
            sent_id = webhook_id(self._source, publisher_id + apart, message.body)
        event = Event(
            id=event_id,
            source=self._source,
            type=fitting_type((kind, message.type and told_type(message), message.routing_key)),
            format=name,
            received_at=received_at,
            message=message,
            data=content.data,
            time=found.time or (utc_text(message.timestamp) if message.timestamp else None),
            publisher_id=publisher_id,
            identity=identity,
            webhook_id=sent_id or event_id,
            parsed=content.parsed,
            data_fault=content.fault,
            weight=content.weight,
        )
        return event if self._told is None else self._told.of(event)

    def _refused(self, message: Message) -> Undecodable | None:
        """Returns the refusal of a message of which no copy could be published."""
        if len(message.body) > self._max_body:
            detail = f"the body has {len(message.body)} bytes, the limit is {self._max_body}"
            return Undecodable("body_too_large", detail)
        if message.headers and (size := table_size(message.headers)) > self._max_headers:
            detail = f"the headers take {size} bytes, the limit is {self._max_headers}"
            return Undecodable("headers_too_large", detail)
        if self._genuine is not None and not self._genuine(message):
            return Undecodable(
                FORGED, "no bridge with this history and these storage.encryption_keys wrote it"
            )
        return None


def _too_many(split: Split, data: Any, message: Message) -> Undecodable | None:
    """Returns the refusal of a batch too long to be split: millions of messages would exhaust memory."""
    if not isinstance(data, list) or len(data) <= MAX_EVENTS:
        return None
    if not split(data[:1], replace(message, body=b"[0]")):
        return None
    return Undecodable("batch_too_large", f"the message holds {len(data)} events, the limit is {MAX_EVENTS}")


def _fault(misfit: Misfit, body: Read) -> str | None:
    return f"$: {body.fault}" if body.fault else misfit(body.parsed)
