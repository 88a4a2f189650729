"""A verified request as a message for a source's queue."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from bridge.http.inlet_answers import TOO_MANY_HEADERS, Refusal
from bridge.model.event import Message
from bridge.model.inlet import Inlet, Verifier
from bridge.model.source import Source
from bridge.model.value import value
from bridge.ports.broker import Outgoing
from bridge.rules.formats.text import event_type
from bridge.rules.inlets.headers import PassedOn, sender_id, signed_id
from bridge.rules.inlets.paths import type_in_path
from bridge.rules.inlets.told import type_in_body
from bridge.rules.wire.arrival import id_keys, identity_keys, mark
from bridge.rules.wire.copies import INLET

_LONGEST_PROPERTY = 255


@value(frozen=True, slots=True)
class Received:
    """A request as it came in: `fields` in their order and spelling, `headers` joined by name in lower case."""

    method: str
    rest: str
    fields: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes


class Messages:
    """Makes the messages of one inlet."""

    def __init__(self, inlet: Inlet, source: Source, new_id: Callable[[], str]) -> None:
        self._inlet = inlet
        self._queue = source.queue
        self._new_id = new_id
        self._passed_on = PassedOn(inlet)
        self._keys = [identity_keys(source.name, inlet, verifier)[:1] for verifier in inlet.verify]
        self._id_keys = [id_keys(source.name, inlet, verifier)[:1] for verifier in inlet.verify]

    def message(self, request: Received, verified: int | None, now: float) -> Outgoing | Refusal:
        """The message of a request that verifier number `verified` accepted (None: everybody is let in).

        The message's id is the sender's, where there is one: what a sender sends once more can be told by it. Every
        other message gets an id of its own, so that equal bodies stay different events.
        """
        headers = self._passed_on.choose(request.fields)
        if headers is None:
            return TOO_MANY_HEADERS
        kind = self._type(request) or self._type_in_body(request, verified)
        table = mark(
            self._inlet.name,
            request.method,
            request.rest,
            kind,
            identity=self._identity(request, verified),
            webhook_id=self._webhook_id(request, verified),
        )
        return Outgoing(
            exchange="",
            routing_key=self._queue,
            message_id=sender_id(request.headers) or self._new_id(),
            body=request.body,
            headers=headers | {INLET: table},
            like=Message(
                body=b"",
                content_type=_property(request.headers.get("content-type")),
                content_encoding=_property(request.headers.get("content-encoding")),
                type=kind,
                timestamp=datetime.fromtimestamp(int(now), UTC),
            ),
        )

    def _identity(self, request: Received, verified: int | None) -> tuple[str, bytes, bytes] | None:
        if verified is None or not self._keys[verified]:
            return None
        verifier: Verifier = self._inlet.verify[verified]
        return (verifier.user, self._keys[verified][0], request.body) if verifier.user else None

    def _webhook_id(self, request: Received, verified: int | None) -> tuple[str, bytes, bytes] | None:
        """The id that a sender of Standard Webhooks signed."""
        if verified is None or not self._id_keys[verified]:
            return None
        sent = signed_id(request.headers, self._inlet.verify[verified].header)
        return (sent, self._id_keys[verified][0], request.body) if sent else None

    def _type(self, request: Received) -> str | None:
        """What the settings say or tell where to look for."""
        inlet = self._inlet
        if inlet.event_type:
            return event_type(inlet.event_type)
        told = ""
        if inlet.event_type_header:
            told = event_type(request.headers.get(inlet.event_type_header.lower(), ""))
        if not told and inlet.event_type_path:
            told = event_type(type_in_path(request.rest))
        return event_type(inlet.event_type_prefix + told) if told else None

    def _type_in_body(self, request: Received, verified: int | None) -> str | None:
        """None: the source's format finds it in headers or body."""
        if verified is None:
            return None
        return type_in_body(self._inlet.verify[verified].type, request.body) or None


def _property(text: str | None) -> str | None:
    """Text that fits in a property; what does not is no use to anybody."""
    return text if text and text.isascii() and len(text) <= _LONGEST_PROPERTY else None
