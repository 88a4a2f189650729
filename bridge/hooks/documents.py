"""Hooks and sources, and how they are doing."""

from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, WithJsonSchema

from bridge.core.base import Seconds
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


class OverlayDocument(ClosedDocument):
    """What a person said of a hook from the file, through the API; null: as the file has it."""

    enabled: bool | None
    """Enabled or disabled."""
    paused: bool | None
    """Paused or resumed."""
    reason: str | None
    """Why, as given."""
    at: UtcMoment
    """When it was last said."""


class FailingDocument(ClosedDocument):
    """A hook that only fails."""

    since: UtcMoment
    """The first failed attempt since the last success."""
    failed_attempts: int
    """How many failed since then."""


class SecretDocument(ClosedDocument):
    """A live secret of a hook, without what it is."""

    until: UtcMoment | None
    """When it ends; null: it stays."""


class SigningDocument(ClosedDocument):
    """Whether a webhook signs, and with what."""

    signs: bool
    """Whether requests carry a signature, or of profile cockpit the credentials."""
    secrets: list[SecretDocument]
    """Those that are live, the newest first."""
    warning: str | None
    """What is wrong with that: a profile that signs has no secret to sign with, or a secret, a header or a credential has a
    blank or a line break at an end."""


class HookStateDocument(ClosedDocument):
    """What goes for a hook now, beside its configuration; as this process sees it."""

    paused: bool
    """By configuration, by what was said since, or by the bridge itself."""
    reason: str | None
    """Why it is paused; null where nobody told."""
    breaker: Literal["closed", "open", "half_open"]
    """open: the endpoint is down and looked at now and then; half_open: a probe is under way."""
    held_until: UtcMoment | None
    """The receiver asked to be left alone until then (Retry-After)."""
    lane_depth: int
    """Messages that wait in its lane."""
    in_flight: int
    """Attempts under way in this process."""
    served: bool
    """Whether this process serves targets of its kind."""
    broken: str | None
    """Why it cannot be served as it is written; null: it can. What it asks for waits in its lane until it is mended; one of
    the file that was sound before stays in force as it was."""
    failing: FailingDocument | None
    """It only fails: three attempts at the least since the last success; null: it does not. Some seconds old."""
    last_success_at: UtcMoment | None
    """When an attempt last succeeded; null: never, as far as is known. Some seconds old."""
    overlay: OverlayDocument | None
    """What was said of a hook from the file; null: nothing."""
    deleting: Literal["drain", "drop"] | None
    """drain: deleted, what waits is still delivered; drop: deleted, what waits becomes FAILED; null: not deleted."""


class HookDocument(ClosedDocument):
    """A hook as it is written, without its secrets, and how it is doing."""

    id: str
    """Its id, which never changes."""
    name: str
    """Its name, unique."""
    description: str
    """For people: what it is for."""
    sources: list[str] | None
    """Names of the sources it listens to; null: every source."""
    events: list[str]
    """AMQP topic patterns on the event type."""
    filter: str | None
    """A CEL expression over `event` that must be true."""
    unmatched: bool
    """true: it gets only what no other hook asks for."""
    enabled: bool
    """false: matching events are recorded SKIPPED. With what was said of a hook from the file."""
    paused: bool
    """true: matching events wait. With what was said of a hook from the file; the bridge's own pause stands in `state`
    alone."""
    concurrency: int
    """Attempts at once, per process."""
    rate: float | None
    """Attempts per second, per process."""
    retry: dict[str, Any]
    """When failed attempts are tried again."""
    target: dict[str, Any]
    """Where its deliveries go. Secrets, values of `auth` and `urls` of a notify target are left out."""
    managed_by: Literal["api", "file"]
    """file: read-only here."""
    created_at: UtcMoment | None
    """When it was made; null for a hook from the file."""
    updated_at: UtcMoment | None
    """When it was last changed; null for a hook from the file."""
    signing: SigningDocument | None
    """Whether it signs, and with how many secrets; null: it is no webhook."""
    state: HookStateDocument
    """How it is doing."""


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
