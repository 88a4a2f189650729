"""Hooks and sources, and how they are doing."""

from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, WithJsonSchema

from bridge.core.base import Seconds
from bridge.core.event import Source
from bridge.core.hook import Hook
from bridge.http.documents import ClosedDocument, UtcMoment


class SourceDocument(ClosedDocument):
    """A source now. Figures of the broker are null where it does not answer, or has no such queue."""

    name: str
    """Its name."""
    queue: str
    """The queue's name on the broker."""
    format: str
    """How messages are decoded."""
    state: Literal["consuming", "connecting", "standing_by", "left"]
    """left: not consumed, while broker or database are away or the bridge stops."""
    depth: int | None
    """Messages ready in the queue."""
    consumers: int | None
    """Consumers of the queue, ours included."""
    held: int
    """Messages that this process holds, not yet settled."""
    prefetch: int
    """How many it holds at most."""

    @classmethod
    def of(cls, source: Source, state: str, held: int, counted: tuple[int, int] | None) -> Self:
        """The source; `counted` are messages and consumers of its queue, None: the broker does not tell."""
        depth, consumers = counted or (None, None)
        return cls.unchecked(
            name=source.name,
            queue=source.queue,
            format=source.format,
            state=state,
            depth=depth,
            consumers=consumers,
            held=held,
            prefetch=source.prefetch,
        )


class ReloadedDocument(ClosedDocument):
    """What came of reading the hooks of the file anew, by the hooks' ids."""

    added: list[str]
    """Hooks that are in force now and were not before."""
    removed: list[str]
    """Hooks that are in force no more."""
    changed: list[str]
    """Hooks that are in force otherwise than before."""
    broken: dict[str, str]
    """Hooks that cannot be served as they are written, with the reason."""
    needs_restart: list[str]
    """Other sections of the file that have changed: they are in force after a restart."""


class RemovalDocument(ClosedDocument):
    """What was done with the lane of a hook that was deleted."""

    id: str
    """Id of the hook."""
    lane: Literal["dropped", "dropping", "draining", "drained"]
    """dropped: what waited became FAILED hook_deleted; dropping: it does so now; draining: what waits is still
    delivered; drained: nothing waited."""
    deliveries: int | None
    """How many became FAILED; null where it is not known yet."""
    waiting: int | None
    """How many are still delivered; null where it does not apply."""


class NewSecretDocument(ClosedDocument):
    """A hook's new secret, which is shown only this once."""

    id: str
    """Id of the hook."""
    secret: str
    """The secret."""
    starts_at: UtcMoment
    """From when it signs: now, or where the profile signs with one secret when the former one ends."""
    expires_at: UtcMoment | None
    """Until when former ones sign; null: they ended at once, or there was none."""
    together: bool
    """Whether until then new and former ones sign every request together."""
    explanation: str
    """Which secret signs when, in words."""


class PauseBody(ClosedDocument):
    """Why a hook is paused."""

    reason: str = Field(default="", max_length=500)
    """For people; shown as `state.reason`."""


class SecretBody(ClosedDocument):
    """How to rotate a secret."""

    secret: SecretStr | None = Field(default=None, min_length=1)
    """The new one; null: one is made in the form that the profile has."""
    keep: Seconds = Field(default=86_400, ge=0, allow_inf_nan=False)
    """How long the former ones go on signing, beside the new one or, where the profile signs with one secret, in its
    place; 0: they end at once."""


class NewHook(Hook):
    """A hook to be made; without a name it gets one made from its target."""

    name: Annotated[
        str,
        WithJsonSchema({"anyOf": [{"type": "string", "pattern": "^[a-z0-9-]{0,64}$"}, {"type": "null"}]}),
    ] = ""
    """Its name, unique; default, and for null or empty text: made from the target."""
