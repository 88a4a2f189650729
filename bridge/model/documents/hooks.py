"""Hooks and sources, and how they are doing."""

from typing import Any, Literal

from bridge.model.documents.shape import Closed, UtcMoment


class SourceDocument(Closed):
    """A source now. Figures of the broker are null where it does not answer, or has no such queue."""

    name: str
    """Its name."""
    queue: str
    """The queue's name on the broker."""
    format: str
    """How messages are decoded."""
    state: Literal["consuming", "connecting", "left"]
    """left: not consumed, while broker or database are away or the bridge stops."""
    depth: int | None
    """Messages ready in the queue."""
    consumers: int | None
    """Consumers of the queue, ours included."""
    held: int
    """Messages that this process holds, not yet settled."""
    prefetch: int
    """How many it holds at most."""


class HookStateDocument(Closed):
    """What goes for a hook now, beside its configuration; as this process sees it."""

    paused: bool
    """By configuration, or by what was said since."""
    reason: str | None
    """Why it is paused; null where the configuration alone says so."""
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


class HookDocument(Closed):
    """A hook as it is written, without its secrets, and how it is doing."""

    id: str
    """Its id, which never changes."""
    name: str
    """Its name, unique."""
    sources: list[str] | None
    """Names of the sources it listens to; null: every source."""
    events: list[str]
    """AMQP topic patterns on the event type."""
    filter: str | None
    """A CEL expression over `event` that must be true."""
    enabled: bool
    """false: matching events are recorded SKIPPED."""
    paused: bool
    """As configured; whether it is paused now stands in `state`."""
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
    state: HookStateDocument
    """How it is doing."""
