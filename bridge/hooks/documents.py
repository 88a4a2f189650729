"""The documents of hooks and sources, with their state."""

from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, WithJsonSchema

from bridge.core.base import Seconds
from bridge.core.event import Source
from bridge.core.hook import Hook
from bridge.http.documents import ClosedDocument, UtcMoment


class SourceDocument(ClosedDocument):
    """A source with its present state. Figures of the broker are null if it does not respond, or the queue does not exist."""

    name: str
    """Name of the source."""
    queue: str
    """The queue's name on the broker."""
    format: str
    """Format with which messages are decoded."""
    state: Literal["consuming", "connecting", "standing_by", "left"]
    """left: not consumed, because broker or database are unavailable or the bridge stops."""
    depth: int | None
    """Messages ready in the queue."""
    consumers: int | None
    """Consumers of the queue, ours included."""
    held: int
    """Messages that this process holds, not yet settled."""
    prefetch: int
    """Maximum number of messages that this process holds (prefetch)."""

    @classmethod
    def of(cls, source: Source, state: str, held: int, counted: tuple[int, int] | None) -> Self:
        """Returns the document; `counted` are ready messages and consumers, None if the broker does not tell."""
        depth, consumers = counted or (None, None)
        return cls.unchecked(source, state=state, depth=depth, consumers=consumers, held=held)


class ReloadedDocument(ClosedDocument):
    """The result of reloading the hooks of the file, by hook id."""

    added: list[str]
    """Hooks that are new."""
    removed: list[str]
    """Hooks that were removed."""
    changed: list[str]
    """Hooks whose configuration changed."""
    broken: dict[str, str]
    """Hooks that cannot be served as configured, with the reason."""
    needs_restart: list[str]
    """Other changed sections of the file, which take effect after a restart."""


class RemovalDocument(ClosedDocument):
    """The result of deleting a hook's lane."""

    id: str
    """Id of the hook."""
    lane: Literal["dropped", "dropping", "draining", "drained"]
    """dropped: waiting deliveries became FAILED hook_deleted; dropping: they will; draining: waiting deliveries are still made;
    drained: none waited.
    """
    deliveries: int | None
    """Number of deliveries that became FAILED; null if not known yet."""
    waiting: int | None
    """Number of deliveries that are still made; null if not applicable."""


class NewSecretDocument(ClosedDocument):
    """The new secret of a hook, which is shown only once."""

    id: str
    """Id of the hook."""
    secret: str
    """The secret."""
    starts_at: UtcMoment
    """From when it signs: now, or when the former secret expires, if the profile signs with one secret."""
    expires_at: UtcMoment | None
    """When the former secrets expire; null: they expired at once, or there was none."""
    together: bool
    """Whether new and former secrets sign every request together until then."""
    explanation: str
    """Description of which secret signs when."""


class PauseBody(ClosedDocument):
    """The reason of a pause."""

    reason: str = Field(default="", max_length=500)
    """For people; shown as `state.reason`."""


class SecretBody(ClosedDocument):
    """The options of a rotation."""

    secret: SecretStr | None = Field(default=None, min_length=1)
    """The new secret; null: one is generated in the form of the profile."""
    keep: Seconds = Field(default=86_400, ge=0, allow_inf_nan=False)
    """How long the former secrets still sign, beside the new one or, if the profile signs with one secret, instead of it; 0:
    they expire at once.
    """


class NewHook(Hook):
    """A hook to be made; without a name it gets one made from its target."""

    name: Annotated[
        str,
        WithJsonSchema({"anyOf": [{"type": "string", "pattern": "^[a-z0-9-]{0,64}$"}, {"type": "null"}]}),
    ] = ""
    """Its name, unique; default, and for null or empty text: made from the target."""
