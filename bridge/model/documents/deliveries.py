"""Deliveries with their attempts."""

from typing import Annotated, Literal

from pydantic import Field

from bridge.model.delivery import Status
from bridge.model.documents.shape import Closed, UtcMoment


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


class _DeliveryDocument(Closed):
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


DeliveryDocument = DeliveryInList | DeliveryAlone
