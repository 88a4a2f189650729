"""The documents of deliveries and their attempts."""

from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Self

from pydantic import Field

from bridge.core.delivery import KnownEvidence, Status
from bridge.core.ports import Preview
from bridge.core.records import KnownAttempt, KnownDelivery, LastAttempt
from bridge.core.target import TargetType
from bridge.http.documents import ClosedDocument, UtcMoment
from bridge.wire.evidence import unfolded

NameOf = Callable[[str], str]
"""Returns the name of the hook with an id; the id itself if the hook does not exist."""


class HeaderDocument(ClosedDocument):
    """A header, or a variable of a script."""

    name: str
    """Name as it was sent."""
    value: str
    """Value; secrets are `***`, signatures are shortened."""

    @classmethod
    def all_of(cls, pairs: Iterable[tuple[str, str]]) -> list[Self]:
        """Returns the documents of these headers."""
        return [cls.unchecked(name=name, value=value) for name, value in pairs]


class SentDocument(ClosedDocument):
    """The request of an attempt, without the body."""

    type: TargetType
    """The type of the target."""
    to: str
    """URL, command, queue, or notification services; without secrets."""
    method: str | None
    """HTTP method of a webhook."""
    headers: list[HeaderDocument]
    """Headers of a webhook's request, headers that the bridge adds for a queue, or variables of a script."""
    body_sha256: str
    """SHA-256 of the body as sent, in hex."""
    settings: str
    """Digest of the settings of the target, template included, without its secrets."""

    @classmethod
    def of(cls, known: KnownEvidence, **more: Any) -> Self:
        """Returns the document of the evidence; `more` are further members."""
        return cls.unchecked(known, headers=HeaderDocument.all_of(known.headers), **more)


class AttemptDocument(ClosedDocument):
    """An attempt of a delivery."""

    number: Annotated[int, Field(ge=1)]
    """Number of the attempt, from 1; continues after a manual retry."""
    generation: Annotated[int, Field(ge=1)]
    """Generation of the delivery: 1, and one more with each manual retry, replay or cancellation."""
    started_at: UtcMoment
    """When it started."""
    duration_ms: Annotated[float, Field(ge=0)]
    """Duration in milliseconds."""
    outcome: str
    """delivered, or the kind of the fault."""
    status_code: int | None
    """HTTP status or exit code."""
    response: str | None
    """Beginning of the response, or end of a script's output."""
    error: str | None
    """Error text."""
    request: SentDocument | None
    """Request that was sent; null if none was, or an older version sent it."""
    response_headers: list[HeaderDocument] | None
    """Headers of the HTTP response, with secrets masked; null if there was none."""

    @classmethod
    def of(cls, known: KnownAttempt) -> Self:
        """Returns the document of the attempt."""
        evidence = known.evidence
        answered = None if evidence is None else evidence.answered
        return cls.unchecked(
            known,
            duration_ms=round(known.duration_ms, 3),
            response=known.response or None,
            error=known.error or None,
            request=None if evidence is None else SentDocument.of(evidence),
            response_headers=None if answered is None else HeaderDocument.all_of(answered),
        )


class LastAttemptDocument(ClosedDocument):
    """The latest attempt of a delivery."""

    at: UtcMoment
    """When it started."""
    duration_ms: Annotated[float, Field(ge=0)]
    """Duration in milliseconds."""
    outcome: str
    """delivered, or the kind of the fault."""
    status_code: int | None
    """HTTP status or exit code."""
    error: str | None
    """Error text."""

    @classmethod
    def of(cls, known: LastAttempt) -> Self:
        """Returns the document of the attempt."""
        return cls.unchecked(
            known,
            duration_ms=round(known.duration_ms, 3),
            error=known.error or None,
        )


class _DeliveryDocument(ClosedDocument):
    id: str
    """Id of the delivery, a UUIDv7."""
    event_id: str
    """Id of its event."""
    event_type: str
    """Type of its event."""
    hook: str
    """Id of its hook."""
    hook_name: str
    """Name of its hook, with ` (deleted)` after it once the hook is; the id if the name is unknown."""
    status: Status
    """Status; the last three are final."""
    reason: str | None
    """Reason of the status, if there is one."""
    created_at: UtcMoment
    """When it was first recorded."""
    updated_at: UtcMoment
    """When it last changed; for a final status, when it became final."""
    next_attempt_at: UtcMoment | None
    """When the next attempt is due."""

    @classmethod
    def _of(cls, known: KnownDelivery, name_of: NameOf, **more: Any) -> Self:
        return cls.unchecked(
            known,
            hook_name=name_of(known.hook),
            reason=known.reason or None,
            **more,
        )


class DeliveryInList(_DeliveryDocument):
    """A delivery in a list."""

    attempts: Annotated[int, Field(ge=0)]
    """Number of attempts."""
    last: LastAttemptDocument | None
    """Latest attempt; null if there was none."""

    @classmethod
    def of(cls, known: KnownDelivery, name_of: NameOf) -> Self:
        """Returns the document of the delivery."""
        last = None if known.last is None else LastAttemptDocument.of(known.last)
        return cls._of(known, name_of, attempts=known.attempts, last=last)


class AddressDocument(ClosedDocument):
    """The address of a hook's target."""

    type: TargetType
    """The type of its target."""
    to: str
    """URL, command, queue, or notification services; without secrets."""


class DeliveryAlone(_DeliveryDocument):
    """A delivery with all its attempts."""

    attempts: list[AttemptDocument]
    """All attempts, in order."""
    target: AddressDocument | None
    """Address by the present hook; null if the hook does not exist any more."""

    @classmethod
    def of(
        cls,
        known: KnownDelivery,
        attempts: Sequence[KnownAttempt],
        target: AddressDocument | None,
        name_of: NameOf,
    ) -> Self:
        """Returns the document with every attempt, earlier generations first; `target` is the address."""
        every = sorted(attempts, key=lambda each: (each.generation, each.number))
        return cls._of(known, name_of, attempts=list(map(AttemptDocument.of, every)), target=target)


class RequestDocument(SentDocument):
    """The request that an attempt of a delivery would send now, by the present hook."""

    content_type: str | None
    """Content type of the body, if it has one."""
    body_text: str | None
    """Body, if it is UTF-8."""
    body_base64: Annotated[str | None, Field(json_schema_extra={"contentEncoding": "base64"})]
    """Body, if it is not UTF-8."""
    compared_with: int | None
    """Number of the latest attempt whose request is in the history; null if there is none."""
    same_body: bool | None
    """Whether that attempt sent the same body."""
    same_settings: bool | None
    """Whether that attempt had the same settings of the target."""

    @classmethod
    def compared(cls, preview: Preview, attempts: Sequence[KnownAttempt]) -> Self:
        """Returns the request that would be sent now, compared with the latest of these attempts."""
        now = unfolded(preview.evidence)
        told = [each for each in attempts if each.evidence is not None]
        last = max(told, key=lambda each: (each.generation, each.number), default=None)
        then = None if last is None else last.evidence
        try:
            text, encoded = preview.content.decode(), None
        except UnicodeDecodeError:
            text, encoded = None, b64encode(preview.content).decode()
        return cls.of(
            now,
            content_type=preview.content_type,
            body_text=text,
            body_base64=encoded,
            compared_with=None if last is None else last.number,
            same_body=None if then is None else then.body_sha256 == now.body_sha256,
            same_settings=None if then is None else then.settings == now.settings,
        )


DeliveryDocument = DeliveryInList | DeliveryAlone
