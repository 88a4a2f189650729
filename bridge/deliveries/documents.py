"""The documents of deliveries and their attempts."""

from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Self

from pydantic import Field

from bridge.core.delivery import KnownEvidence, Status
from bridge.core.ports import Preview
from bridge.core.records import KnownAttempt, KnownDelivery, LastAttempt
from bridge.core.target import TargetType
from bridge.formats.text import utc_seconds
from bridge.http.documents import ClosedDocument, UtcMoment, moment_or_none
from bridge.wire.evidence import unfolded

NameOf = Callable[[str], str]
"""Returns the name of the hook with an id; the id itself if the hook does not exist."""


class HeaderDocument(ClosedDocument):
    """One header, or a variable of a script."""

    name: str
    """As it was written."""
    value: str
    """Its value; secrets stand as `***`, signatures are shortened."""

    @classmethod
    def all_of(cls, pairs: Iterable[tuple[str, str]]) -> list[Self]:
        """Returns the documents of these headers."""
        return [cls.unchecked(name=name, value=value) for name, value in pairs]


class SentDocument(ClosedDocument):
    """What an attempt sends, beside the body."""

    type: TargetType
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

    @classmethod
    def of(cls, known: KnownEvidence, **more: Any) -> Self:
        """Returns the document of the evidence; `more` are further members."""
        return cls.unchecked(
            type=known.type,
            to=known.to,
            method=known.method,
            headers=HeaderDocument.all_of(known.headers),
            body_sha256=known.body_sha256,
            settings=known.settings,
            **more,
        )


class AttemptDocument(ClosedDocument):
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

    @classmethod
    def of(cls, known: KnownAttempt) -> Self:
        """Returns the document of the attempt."""
        evidence = known.evidence
        answered = None if evidence is None else evidence.answered
        return cls.unchecked(
            number=known.number,
            generation=known.generation,
            started_at=utc_seconds(known.started_at),
            duration_ms=round(known.duration_ms, 3),
            outcome=known.outcome,
            status_code=known.status_code,
            response=known.response or None,
            error=known.error or None,
            request=None if evidence is None else SentDocument.of(evidence),
            response_headers=None if answered is None else HeaderDocument.all_of(answered),
        )


class LastAttemptDocument(ClosedDocument):
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

    @classmethod
    def of(cls, known: LastAttempt) -> Self:
        """Returns the document of the attempt."""
        return cls.unchecked(
            at=utc_seconds(known.at),
            duration_ms=round(known.duration_ms, 3),
            outcome=known.outcome,
            status_code=known.status_code,
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

    @classmethod
    def _of(cls, known: KnownDelivery, name_of: NameOf, **more: Any) -> Self:
        return cls.unchecked(
            id=known.id,
            event_id=known.event_id,
            event_type=known.event_type,
            hook=known.hook,
            hook_name=name_of(known.hook),
            status=known.status,
            reason=known.reason or None,
            created_at=utc_seconds(known.created_at),
            updated_at=utc_seconds(known.updated_at),
            next_attempt_at=moment_or_none(known.next_attempt_at),
            **more,
        )


class DeliveryInList(_DeliveryDocument):
    """A delivery in a list."""

    attempts: Annotated[int, Field(ge=0)]
    """How often it was tried."""
    last: LastAttemptDocument | None
    """What the latest try came to; null where nothing was tried."""

    @classmethod
    def of(cls, known: KnownDelivery, name_of: NameOf) -> Self:
        """Returns the document of the delivery."""
        last = None if known.last is None else LastAttemptDocument.of(known.last)
        return cls._of(known, name_of, attempts=known.attempts, last=last)


class AddressDocument(ClosedDocument):
    """Where a hook delivers."""

    type: TargetType
    """The type of its target."""
    to: str
    """URL, command, queue, or the services that are notified; without what is secret."""


class DeliveryAlone(_DeliveryDocument):
    """A delivery with all its attempts."""

    attempts: list[AttemptDocument]
    """Every try, in order."""
    target: AddressDocument | None
    """Where it goes, by today's hook; null where the hook is gone."""

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
