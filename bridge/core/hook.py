"""The hook as users configure it: which events are delivered to which target, and how."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from bridge.core.base import PerSecond, Seconds, StrictModel, value
from bridge.core.target import Target, WebhookTarget

Wait = Annotated[Seconds, Field(ge=0, le=366 * 86_400)]
"""The wait between two attempts."""


class Retry(StrictModel):
    """The retry policy: when a failed attempt is repeated."""

    preset: Literal["standard", "splynx", "phlix", "cockpit", "none"] | None = None
    """Named schedule; `standard` if neither a preset nor a schedule is given."""
    schedule: list[Wait] | None = Field(default=None, min_length=1, max_length=100)
    """Waits between the attempts; the last one repeats up to `max_attempts`."""
    max_attempts: int | None = Field(default=None, ge=1, le=1000)
    """Total number of attempts, the first included; default: one more than the schedule has waits."""
    max_age: Seconds | None = Field(default=None, ge=0)
    """Maximum age of the event; no attempt starts later."""
    jitter: float | None = Field(default=None, ge=0, le=1)
    """Jitter: each wait is lengthened by a random share of it up to this one."""

    @model_validator(mode="after")
    def _one_of_both(self) -> "Retry":
        if self.preset is not None and self.schedule is not None:
            raise ValueError("give either `preset` or `schedule`, not both")
        return self


@value(frozen=True, slots=True)
class HookFault:
    """The reason why a hook cannot be served as configured: the hook is broken, and its events wait in its lane.

    `unread` are those of the fields `sources`, `events`, `filter` and `target` without a usable value.
    """

    reason: str
    unread: frozenset[str] = frozenset()

    @property
    def provisional(self) -> bool:
        """Returns whether it is unknown which events match; they are matched again when the hook is repaired."""
        return not self.unread <= {"target"}


class Hook(StrictModel):
    """Which events (patterns, filter) go to which target, and how (retry, concurrency, rate)."""

    name: str = Field(pattern=r"^[a-z0-9-]{1,64}$")
    """Unique name of the hook; for a hook from the file also its id."""
    description: str = Field(default="", max_length=1000)
    """Description, for people."""
    sources: list[str] | None = None
    """Names of the sources that the hook receives events from; default: every source but `bridge`, the source of
    meta events."""
    events: list[str] = Field(default_factory=lambda: ["*"], min_length=1, max_length=1000)
    """AMQP topic patterns on the event type; `*` alone matches every type."""
    filter: str | None = Field(default=None, max_length=16_384)
    """CEL expression over `event` that must be true."""
    unmatched: bool = False
    """true: the hook receives only those of its matching events that match no other hook, disabled hooks included."""
    enabled: bool = True
    """false: matching events are recorded as SKIPPED."""
    paused: bool = False
    """true: matching events wait in the lane."""
    concurrency: int = Field(default=16, ge=1, le=1000)
    """Maximum number of concurrent attempts, per process."""
    rate: PerSecond | None = Field(default=None, gt=0)
    """Maximum number of attempts per second, per process."""
    retry: Retry = Retry()
    """When failed attempts are repeated."""
    target: Target
    """Target of the deliveries."""

    _id: str | None = PrivateAttr(default=None)
    _fault: HookFault | None = PrivateAttr(default=None)

    @cached_property
    def id(self) -> str:
        """Returns the id, which names the lane and labels metrics: given at creation, or a file hook's name."""
        return self._id or self.name

    @property
    def from_file(self) -> bool:
        """Returns whether the hook is defined in the file, not through the API."""
        return self._id is None

    def with_id(self, hook_id: str) -> "Hook":
        """Returns this hook as created through the API: its id never changes, its name may."""
        hook = self.model_copy()
        hook.__dict__.pop("id", None)
        hook._id = hook_id  # noqa: SLF001 -- of its own class
        return hook

    @property
    def fault(self) -> HookFault | None:
        """Returns why the hook cannot be served; None if it can."""
        return self._fault

    def with_fault(self, fault: HookFault) -> "Hook":
        """Returns this hook marked as broken."""
        hook = self.model_copy()
        hook._fault = fault  # noqa: SLF001 -- of its own class
        return hook

    def widened(self) -> "Hook":
        """Returns this hook without its unreadable restrictions: it matches every event it might have matched."""
        unread = self._fault.unread if self._fault is not None else ()
        whole: dict[str, Any] = {"sources": None, "events": ["*"], "filter": None}
        changes = {name: everything for name, everything in whole.items() if name in unread}
        return self.model_copy(update=changes) if changes else self


# Hooks that were created through the API, and the port that stores them.


Deleting = Literal["", "drain", "drop", "gone"]
"""The stage of a hook's deletion. drain: it matches no new events, waiting events are still delivered; drop:
waiting deliveries become FAILED `hook_deleted`; gone: its lane is deleted, and the row remains so that late copies
are recognized."""

Ends = tuple[tuple[str, float], ...]
"""Replaced secrets in the clear, each with the Unix time at which it expires."""


@value(frozen=True, slots=True)
class StoredHook:
    """A hook of the API as stored, with its secrets in the clear. `version` rises with each change (the ETag);
    `revision` is the table's revision at the last change. Times are in Unix seconds.

    `ends` are replaced secrets that keep signing beside the new one until they expire.
    """

    hook: Hook
    version: int
    revision: int
    created_at: float
    updated_at: float
    deleting: Deleting = ""
    ends: Ends = ()

    def live(self, now: float) -> Hook:
        """Returns the hook to serve at `now`: without expired secrets."""
        over = {secret for secret, end in self.ends if end <= now}
        target = self.hook.target
        if not over or not isinstance(target, WebhookTarget):
            return self.hook
        secrets = [secret for secret in target.secrets if secret.get_secret_value() not in over]
        return self.hook.model_copy(update={"target": target.model_copy(update={"secrets": secrets})})

    def next_end(self, now: float) -> float | None:
        """Returns the time at which `live` changes next; None: never."""
        return min((end for _, end in self.ends if end > now), default=None)


@value(frozen=True, slots=True)
class StoredHooks:
    """All stored hooks, those being deleted included; `revision` rises with each change of a hook or of an
    override. `gone` are the hooks whose lanes are deleted: their names by id.
    """

    revision: int
    hooks: Sequence[StoredHook]
    gone: Mapping[str, str] = field(default_factory=dict[str, str])


class NameTaken(Exception):
    """Another hook has this name."""


class Overtaken(Exception):
    """The hook was changed by another request, or is gone."""


class TooMany(Exception):
    """The maximum number of hooks is stored."""
