"""The conversion of a verified request to a message for a source's queue, and the responses of inlets."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bridge.core.base import value
from bridge.core.budget import Budget
from bridge.core.event import Message, Source
from bridge.core.inlet import Inlet, Verifier, type_in_path
from bridge.core.ports import Outgoing
from bridge.formats.text import event_type
from bridge.http.documents import problem
from bridge.inlets.handshakes import Greeting
from bridge.inlets.headers import PassedOn, sender_id, signed_id, type_in_body
from bridge.wire.copies import INLET
from bridge.wire.headers import id_keys, identity_keys, mark

# Responses of inlets.


_LARGE = 1_048_576
RETRY_AFTER = 5
"""Seconds in `Retry-After` of a 503."""


@value(frozen=True, slots=True)
class Refusal:
    """A rejected request; `label` is the metric's, `reason` is for the log only."""

    label: str
    status: int
    detail: str
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    close: bool = False
    """The connection cannot be reused: a body is unread."""

    def response(self) -> web.Response:
        """Returns the problem response (RFC 9457)."""
        response = problem(self.status, self.detail)
        response.headers.extend(self.headers)
        if self.close:
            response.force_close()
        return response


NOT_AUTHORIZED = Refusal("refused", 403, "Webhook not authorized.")
TOO_SLOW = Refusal("too_slow", 408, "the body did not arrive in time", close=True)
MALFORMED = Refusal("malformed", 400, "the body ended early or is not framed as HTTP has it", close=True)
TOO_MANY_HEADERS = Refusal("headers_too_large", 431, "more headers than a message can carry")


def greeted(greeting: Greeting) -> web.Response:
    """Returns the response to a handshake, with content chosen by the sender always served as plain text."""
    response = web.Response(
        status=greeting.status, text=greeting.text, content_type=greeting.content_type, charset="utf-8"
    )
    response.headers.extend(greeting.headers)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def unavailable(reason: str, label: str = "unavailable", *, close: bool = False) -> Refusal:
    """Returns a 503: nothing was accepted, and the sender should retry soon; `reason` is for the log."""
    return Refusal(
        label,
        503,
        "the message cannot be taken now; try again",
        reason,
        (("Retry-After", str(RETRY_AFTER)),),
        close,
    )


def too_large(limit: int) -> Refusal:
    """Returns a 413 for a body over the limit; the rest of it is not read."""
    return Refusal("too_large", 413, f"the body is larger than {limit} bytes", close=True)


def wrong_method(method: str, allowed: tuple[str, ...]) -> Refusal:
    """Returns a 405 for a method that the inlet does not accept."""
    names = ", ".join(allowed)
    return Refusal(
        "method", 405, f"{method} is not allowed here; allowed: {names}", headers=(("Allow", names),)
    )


_LONGEST_PROPERTY = 255


@value(frozen=True, slots=True)
class InletRequest:
    """A received request: `fields` in original order and spelling, `headers` joined by lower-case name."""

    method: str
    rest: str
    fields: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes


class Messages:
    """The builder of one inlet's messages."""

    def __init__(self, inlet: Inlet, source: Source, new_id: Callable[[], str]) -> None:
        self._inlet = inlet
        self._queue = source.queue
        self._new_id = new_id
        self._passed_on = PassedOn(inlet)
        self._keys = [identity_keys(source.name, inlet, verifier)[:1] for verifier in inlet.verify]
        self._id_keys = [id_keys(source.name, inlet, verifier)[:1] for verifier in inlet.verify]

    def message(self, request: InletRequest, verified: int | None, now: float) -> Outgoing | Refusal:
        """Returns the message of a request that verifier number `verified` accepted (None: an open inlet).

        The message's id is the sender's, if any, so that repeated events can be deduplicated. Other messages get a new
        id, so that equal bodies stay different events.
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

    def _identity(self, request: InletRequest, verified: int | None) -> tuple[str, bytes, bytes] | None:
        if verified is None or not self._keys[verified]:
            return None
        verifier: Verifier = self._inlet.verify[verified]
        return (verifier.user, self._keys[verified][0], request.body) if verifier.user else None

    def _webhook_id(self, request: InletRequest, verified: int | None) -> tuple[str, bytes, bytes] | None:
        if verified is None or not self._id_keys[verified]:
            return None
        sent = signed_id(request.headers, self._inlet.verify[verified].header)
        return (sent, self._id_keys[verified][0], request.body) if sent else None

    def _type(self, request: InletRequest) -> str | None:
        """Returns the event type from the settings, or from where they tell to read it."""
        inlet = self._inlet
        if inlet.event_type:
            return event_type(inlet.event_type)
        told = ""
        if inlet.event_type_header:
            told = event_type(request.headers.get(inlet.event_type_header.lower(), ""))
        if not told and inlet.event_type_path:
            told = event_type(type_in_path(request.rest))
        return event_type(inlet.event_type_prefix + told) if told else None

    def _type_in_body(self, request: InletRequest, verified: int | None) -> str | None:
        """Returns the event type in the body; None: the source's format finds it in headers or body."""
        if verified is None:
            return None
        return type_in_body(self._inlet.verify[verified].type, request.body) or None


def _property(text: str | None) -> str | None:
    """Returns text that fits in a property, else None."""
    return text if text and text.isascii() and len(text) <= _LONGEST_PROPERTY else None


# Bounded reading of request bodies: size, duration and total memory are limited.


MOST_REQUESTS = 1000
MOST_BYTES = 256 * 1024 * 1024
_SHARE = 0.25
BODY_TIME = 30.0
"""Maximum seconds for a whole body to arrive."""

_CROWDED = unavailable("too many requests at once", "too_many", close=True)


class Room:
    """The limits of all in-flight requests together, on both sockets."""

    def __init__(
        self, budget: Budget | None = None, requests: int = MOST_REQUESTS, byte_count: int = MOST_BYTES
    ) -> None:
        """Set the limits: at most `byte_count`, within a quarter of the `budget` and its free part."""
        self._budget = budget or Budget()
        self._holder = self._budget.holder("inlets")
        self._most_requests = requests
        self._most_bytes = min(byte_count, self._budget.share(_SHARE))
        self.requests = 0
        self.byte_count = 0

    @contextmanager
    def place(self) -> Iterator["RequestSlot | None"]:
        """Reserve a slot for one request while it is handled; yields None if all are taken."""
        if self.requests >= self._most_requests:
            yield None
            return
        self.requests += 1
        place = RequestSlot(self)
        try:
            yield place
        finally:
            self.requests -= 1
            self.byte_count -= place.byte_count
            self._holder.release(place.byte_count, 0)

    def has_space_for(self, byte_count: int) -> bool:
        """Returns whether this many bytes fit; a single body always fits, whatever the settings allow."""
        if self.requests == 1:
            return True
        return self.byte_count + byte_count <= self._most_bytes and self._budget.fits(byte_count)

    def hold(self, byte_count: int) -> None:
        """Count this many more bytes as held."""
        self.byte_count += byte_count
        self._holder.take(byte_count, 0)


class RequestSlot:
    """The slot of one request."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.byte_count = 0

    def grow(self, byte_count: int) -> bool:
        """Reserve this many more bytes; returns False if they do not fit."""
        if not self._room.has_space_for(byte_count):
            return False
        self.byte_count += byte_count
        self._room.hold(byte_count)
        return True


async def read_body(request: web.Request, place: RequestSlot, limit: int, seconds: float) -> bytes | Refusal:
    """Returns the body as sent, content coding included; a refused body is not read to its end."""
    if (request.content_length or 0) > limit:
        return too_large(limit)
    try:
        async with asyncio.timeout(seconds):
            return await _read(request, place, limit)
    except TimeoutError:
        return TOO_SLOW
    except (web.RequestPayloadError, HttpProcessingError, OSError):
        return MALFORMED


async def _read(request: web.Request, place: RequestSlot, limit: int) -> bytes | Refusal:
    chunks = []
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > limit:
            return too_large(limit)
        if not place.grow(len(chunk)):
            return _CROWDED
        chunks.append(chunk)
    if len(chunks) == 1:
        return chunks[0]
    # Large copies are made in a thread, so that the event loop continues meanwhile.
    return b"".join(chunks) if size < _LARGE else await asyncio.to_thread(b"".join, chunks)
