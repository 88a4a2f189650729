"""The operation of the API that publishes to a source."""

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

from pydantic import AwareDatetime, Field, StringConstraints

from bridge.bodies.exact import to_json
from bridge.core.access import Role
from bridge.core.errors import PublishTooLarge
from bridge.core.event import Message
from bridge.http.body import aside, raw_body, unfit
from bridge.http.documents import ClosedDocument, RequestProblem
from bridge.http.input import Given, Parameter, Parameters, Query
from bridge.http.operation import Call, Operation, OperationGroup, Problems, Reply
from bridge.publishing import service
from bridge.wire.copies import is_taken

# The messages that are published through the API.


ShortText = Annotated[str, StringConstraints(min_length=1, max_length=255)]
"""A text for AMQP's short strings, which hold 255 bytes."""


class PropertiesBody(ClosedDocument):
    """AMQP properties; those that would re-route or expire a message are not accepted."""

    content_type: ShortText | None = None
    """Default: application/json with `data`, else none."""
    content_encoding: ShortText | None = None
    """Such as gzip."""
    correlation_id: ShortText | None = None
    """Any text."""
    message_id: ShortText | None = None
    """Id given by the publisher; default: a generated one."""
    app_id: ShortText | None = None
    """Any text."""
    type: ShortText | None = None
    """Event type, if the source's format does not find one in the body."""
    reply_to: ShortText | None = None
    """Queue for replies to the message; a queue target passes it on."""
    priority: Annotated[int, Field(ge=0, le=255)] | None = None
    """Priority; a queue target passes it on."""
    timestamp: AwareDatetime | None = None
    """When it was published; default: now."""


class WithBody(ClosedDocument):
    """The body of a message in one of three forms."""

    data: Any = None
    """Body as any JSON value."""
    body: str | None = None
    """Body as text."""
    body_base64: Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})] | None = None
    """Body as bytes."""

    def given(self) -> list[str]:
        """Returns the names of the members that give a body."""
        return [name for name in ("data", "body", "body_base64") if name in self.model_fields_set]


class PublishBody(WithBody):
    """A message for a source, with `data`, `body` or `body_base64`."""

    source: str | None = None
    """Name of the source; may be omitted if there is only one."""
    type: ShortText | None = None
    """The property `type`."""
    content_type: ShortText | None = None
    """The property `content_type`."""
    message_id: ShortText | None = None
    """The property `message_id`."""
    headers: dict[str, Any] = Field(default_factory=dict, max_length=1000)
    """AMQP headers; names reserved by broker and bridge (x-death, x-bridge-..., CC, BCC) are refused."""
    properties: PropertiesBody = PropertiesBody()
    """Further properties."""


class RequeueBody(WithBody):
    """The changes to a message before it is requeued; empty to requeue it as it came."""

    type: ShortText | None = None
    """The property `type`: the event type, if the source's format does not find it in the body."""
    content_type: ShortText | None = None
    """The property `content_type`."""
    content_encoding: ShortText | None = None
    """The property `content_encoding`; if a body is given without it, the property is removed."""
    headers: dict[str, Any] = Field(default_factory=dict, max_length=1000)
    """Headers to add or replace; null removes one. Others stay."""
    dry_run: bool = False
    """true: only return how the source would decode it, without changing anything."""


class PublishedDocument(ClosedDocument):
    """A message that the broker confirmed."""

    source: str
    """Name of the source."""
    queue: str
    """The queue that holds the message."""
    message_id: str
    """Its message id, which is the event's `publisher_id`."""


KEY = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_SHORT = 255
_YEARS = range(1970, 2106)
"""The years of the broker's timestamps."""
_JSON = "application/json"


def _key(given: Parameters) -> str | None:
    keys = given.headers.getall(KEY, [])
    if not keys:
        return None
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        given.wrong(KEY, "must be given once, with 1 to 255 visible characters of ASCII")
    return keys[0]


class _PublishQuery(Query):
    key = Given(
        _key,
        Parameter(
            KEY,
            Annotated[str, Field(pattern=r"^[!-~]{1,255}$")],
            "The same key with the same body publishes once, and is answered alike for 24 hours.",
            where="header",
        ),
    )


def _another(error: service.AnotherRequest, _: Call[Any, Any]) -> RequestProblem:
    return RequestProblem(422, str(error), members={"invalid-params": [{"name": KEY, "reason": str(error)}]})


def _not_accepted(error: service.NotAccepted, _: Call[Any, Any]) -> RequestProblem:
    return RequestProblem(503, f"nothing was accepted, try again: {error}", headers={"Retry-After": "5"})


_PROBLEMS: Problems = {
    service.NoSuchSource: lambda error, _: unfit([("source", str(error))]),
    service.AnotherRequest: _another,
    service.RequestInProgress: lambda error, _: RequestProblem(409, str(error), headers={"Retry-After": "1"}),
    PublishTooLarge: lambda error, _: RequestProblem(413, str(error)),
    service.NotAccepted: _not_accepted,
}


class PublishRoutes(OperationGroup):
    """The operation that publishes messages."""

    def __init__(self, publishing: service.Publishing) -> None:
        self._publishing = publishing

    @Operation(
        name="events.publish",
        method="POST",
        path="/v1/events",
        summary="Publish a message to a source; the response follows the broker's confirm",
        role=Role.OPERATOR,
        answers={202: PublishedDocument},
        problems=_PROBLEMS,
        refusals=frozenset({409}),
    )
    async def _publish(self, call: Call[_PublishQuery, PublishBody]) -> Reply:
        body, key = call.body, call.query.key
        raw = await raw_body(call.request)
        message = await aside(partial(_message, body), len(raw))
        once = None
        if key is not None:
            once = service.Once(key, call.actor.token_id or call.actor.name, raw)
        published = await self._publishing.publish(service.Wanted(body.source, message), once)
        changed = {"id": published.message_id, "source": published.source}
        return Reply(
            document=PublishedDocument.unchecked(published),
            headers={REPLAYED: "true"} if published.replayed else {},
            changed=None if published.replayed else changed,
        )


def body_faults(body: WithBody, *, needed: bool) -> Iterator[tuple[str, str]]:
    """Yields the problems of the members that give the body; `needed`: a body is required."""
    given = body.given()
    if len(given) > 1 or (needed and not given):
        found = f"not {' and '.join(given)}" if given else "there is none"
        yield given[-1] if given else "data", f"give one of `data`, `body` and `body_base64`, {found}"
    for name in ("body", "body_base64"):
        if name in given and getattr(body, name) is None:
            yield name, "must not be null"
    if body.body_base64 is not None and _decoded(body.body_base64) is None:
        yield "body_base64", "is no base64"


def header_faults(headers: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the names that a message's header must not have."""
    for name in headers:
        if is_taken(name):
            yield f"headers.{name}", "belongs to the broker or to the bridge and cannot be given"
        elif not 0 < len(name.encode()) <= _SHORT:
            yield f"headers.{name[:60]}", f"a header name has 1 to {_SHORT} bytes"


def _faults(body: PublishBody) -> Iterator[tuple[str, str]]:
    yield from body_faults(body, needed=True)
    at = body.properties.timestamp
    if at is not None and at.astimezone(UTC).year not in _YEARS:
        yield "properties.timestamp", "must lie between 1970 and 2105"
    yield from _texts(body)
    yield from header_faults(body.headers)


def _texts(body: PublishBody) -> Iterator[tuple[str, str]]:
    own = {name: getattr(body, name) for name in ("type", "content_type", "message_id")}
    more = {f"properties.{name}": value for name, value in body.properties if isinstance(value, str)}
    for name, text in {**own, **more}.items():
        if text is not None and len(text.encode()) > _SHORT:
            yield name, f"has more than {_SHORT} bytes"


def _message(body: PublishBody) -> Message:
    """Returns the message; raises RequestProblem (422) for values that no message can have."""
    if faults := list(_faults(body)):
        raise unfit(faults)
    properties = body.properties
    is_data = "data" in body.model_fields_set
    at = (properties.timestamp or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)
    return Message(
        content_of(body),
        headers=body.headers,
        content_type=body.content_type or properties.content_type or (_JSON if is_data else None),
        content_encoding=properties.content_encoding,
        correlation_id=properties.correlation_id,
        message_id=body.message_id or properties.message_id,
        app_id=properties.app_id,
        type=body.type or properties.type,
        timestamp=at,
        reply_to=properties.reply_to,
        priority=properties.priority,
    )


def _decoded(text: str) -> bytes | None:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return None


def content_of(body: WithBody) -> bytes:
    """Returns the bytes of the body."""
    if body.body is not None:
        return body.body.encode()
    if body.body_base64 is not None:
        return _decoded(body.body_base64) or b""
    written = to_json(body.data)
    assert isinstance(written, bytes)  # a value read from JSON can be written as JSON
    return written
