"""Deliveries with their attempts."""

from typing import Annotated, Literal

from pydantic import Field

from bridge.model.delivery import Status
from bridge.model.documents.shape import Closed, UtcMoment


class HeaderDocument(Closed):
    """One header, or a variable of a script."""

    name: str
    """As it was written."""
    value: str
    """Its value; secrets stand as `***`, signatures are shortened."""


class SentDocument(Closed):
    """What an attempt sends, beside the body."""

    type: Literal["webhook", "script", "queue", "notify"]
    """The type of the target."""
    to: str
    """URL, command, queue, or the services that are notified; without what is secret."""
    method: str | None
    """Of a webhook the HTTP method."""
    headers: list[HeaderDocument]
    """Of a webhook the request's headers, of a queue those that the bridge adds, of a script its variables."""
    body_sha256: str
    """SHA-256 of the body, in hex, as it went out."""
    settings: str
    """Changes with the settings of the target, template included, and not with its secrets."""


class AttemptDocument(Closed):
    """One try of a delivery."""

    number: Annotated[int, Field(ge=1)]
    """1 for the first; goes on counting where the delivery is started anew."""
    generation: Annotated[int, Field(ge=1)]
    """How often the delivery had been started by then: 1 until somebody starts it anew or cancels it."""
    started_at: UtcMoment
    """When it began."""
    duration_ms: Annotated[float, Field(ge=0)]
    """How long it took, in milliseconds."""
    outcome: str
    """delivered, or the kind of its fault."""
    status_code: int | None
    """HTTP status or exit code."""
    response: str | None
    """Beginning of the answer, or end of a script's output."""
    error: str | None
    """What went wrong."""
    request: SentDocument | None
    """What was sent; null where nothing was, or it was by an older version."""
    response_headers: list[HeaderDocument] | None
    """Those of the HTTP answer, as they came but for secrets; null where there was none."""


class LastAttemptDocument(Closed):
    """What the latest try came to."""

    at: UtcMoment
    """When it began."""
    duration_ms: Annotated[float, Field(ge=0)]
    """How long it took, in milliseconds."""
    outcome: str
    """delivered, or the kind of its fault."""
    status_code: int | None
    """HTTP status or exit code."""
    error: str | None
    """What went wrong."""


class _DeliveryDocument(Closed):
    id: str
    """Id of the delivery, a UUIDv7."""
    event_id: str
    """Id of its event."""
    event_type: str
    """Type of its event."""
    hook: str
    """Id of its hook."""
    hook_name: str
    """Name of its hook; its id where the hook is gone."""
    status: Status
    """Where it stands; the last three are final."""
    reason: str | None
    """Why it stands there, where there is something to say."""
    created_at: UtcMoment
    """When it was first recorded."""
    updated_at: UtcMoment
    """When it last changed; of a final one, when it became final."""
    next_attempt_at: UtcMoment | None
    """When it is tried again."""


class DeliveryInList(_DeliveryDocument):
    """A delivery in a list."""

    attempts: Annotated[int, Field(ge=0)]
    """How often it was tried."""
    last: LastAttemptDocument | None
    """What the latest try came to; null where nothing was tried."""


class AddressDocument(Closed):
    """Where a hook delivers."""

    type: Literal["webhook", "script", "queue", "notify"]
    """The type of its target."""
    to: str
    """URL, command, queue, or the services that are notified; without what is secret."""


class DeliveryAlone(_DeliveryDocument):
    """A delivery with all its attempts."""

    attempts: list[AttemptDocument]
    """Every try, in order."""
    target: AddressDocument | None
    """Where it goes, by today's hook; null where the hook is gone."""


class RequestDocument(SentDocument):
    """What an attempt of a delivery would send now, by today's hook."""

    content_type: str | None
    """Of the body, as far as there is one."""
    body_text: str | None
    """The body, where it is UTF-8."""
    body_base64: Annotated[str | None, Field(json_schema_extra={"contentEncoding": "base64"})]
    """The body, where it is not."""
    compared_with: int | None
    """Number of the latest attempt of which the history tells what it sent; null where there is none."""
    same_body: bool | None
    """Whether that one sent the same body."""
    same_settings: bool | None
    """Whether the settings of the target are those of that attempt."""


DeliveryDocument = DeliveryInList | DeliveryAlone
