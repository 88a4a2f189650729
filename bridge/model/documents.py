"""Events and deliveries as other programs get to see them, as JSON Schema can say it."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from bridge.model.delivery import Status

UtcMoment = Annotated[
    str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z$")
]
"""RFC 3339 in UTC."""


class _Closed(BaseModel):
    """No further keys."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


_EITHER: JsonDict = {"oneOf": [{"required": ["data"]}, {"required": ["data_base64"]}]}


class EventDocument(_Closed):
    """An event, as `body: event` of a webhook and `stdin: event` of a script have it."""

    model_config = ConfigDict(json_schema_extra=_EITHER)

    id: str
    """Id of the event, a UUIDv7."""
    type: Annotated[str, Field(min_length=1)]
    """What happened, such as customers.customer.create."""
    source: str
    """Name of the source it came from."""
    time: str | None
    """When it happened, RFC 3339, as far as its publisher told."""
    data: Any = None
    """What the format of the source takes for data."""
    data_base64: Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})] = ""
    """The bytes of a body that is not JSON, in place of `data`."""
    identity: str | None
    """Who sent it, where an inlet verified it."""


class AttemptDocument(_Closed):
    """One try of a delivery."""

    number: Annotated[int, Field(ge=1)]
    """1 for the first."""
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


class _DeliveryDocument(_Closed):
    id: str
    """Id of the delivery, a UUIDv7."""
    event_id: str
    """Id of its event."""
    event_type: str
    """Type of its event."""
    hook: str
    """Id of its hook."""
    status: Status
    """Where it stands; the last three are final."""
    reason: str | None
    """Why it stands there, where there is something to say."""
    created_at: UtcMoment
    """When it was first recorded."""
    updated_at: UtcMoment
    """When it last changed."""
    next_attempt_at: UtcMoment | None
    """When it is tried again."""


class DeliveryInList(_DeliveryDocument):
    """A delivery in a list."""

    attempts: Annotated[int, Field(ge=0)]
    """How often it was tried."""


class DeliveryAlone(_DeliveryDocument):
    """A delivery with all its attempts."""

    attempts: list[AttemptDocument]
    """Every try, in order."""


DeliveryDocument = DeliveryInList | DeliveryAlone
