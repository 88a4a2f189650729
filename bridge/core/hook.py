"""A hook as people write it: which events go to which target, and how."""

from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from bridge.core.base import PerSecond, Seconds, StrictModel, value
from bridge.core.target import Target

Wait = Annotated[Seconds, Field(ge=0, le=366 * 86_400)]
"""What may lie between two attempts."""


class Retry(StrictModel):
    """When a failed attempt is tried again."""

    preset: Literal["standard", "splynx", "phlix", "cockpit", "none"] | None = None
    """A named schedule; `standard` where neither a preset nor a schedule is given."""
    schedule: list[Wait] | None = Field(default=None, min_length=1, max_length=100)
    """Waits between the attempts; the last one repeats up to `max_attempts`."""
    max_attempts: int | None = Field(default=None, ge=1, le=1000)
    """Attempts in all, the first included; default: one more than the schedule has waits."""
    max_age: Seconds | None = Field(default=None, ge=0)
    """No further attempt once the event is this old."""
    jitter: float | None = Field(default=None, ge=0, le=1)
    """Each wait is lengthened by a random part of it up to this share."""

    @model_validator(mode="after")
    def _one_of_both(self) -> "Retry":
        if self.preset is not None and self.schedule is not None:
            raise ValueError("give either `preset` or `schedule`, not both")
        return self


@value(frozen=True, slots=True)
class HookFault:
    """Why a hook cannot be served as it is written: it is broken, and what it asks for waits in its lane.

    `unread` are those of its fields `sources`, `events`, `filter` and `target` that say nothing which could be used.
    """

    reason: str
    unread: frozenset[str] = frozenset()

    @property
    def provisional(self) -> bool:
        """Whether it is not known which events the hook asks for: they are matched once more when it is mended."""
        return not self.unread <= {"target"}


class Hook(StrictModel):
    """Which events (patterns, filter) go to which target, and how (retry, concurrency, rate)."""

    name: str = Field(pattern=r"^[a-z0-9-]{1,64}$")
    """Its name, unique; of a hook from the file it is the id too."""
    description: str = Field(default="", max_length=1000)
    """For people: what it is for."""
    sources: list[str] | None = None
    """Names of the sources it listens to; default: every source but `bridge`, what the bridge tells of itself."""
    events: list[str] = Field(default_factory=lambda: ["*"], min_length=1, max_length=1000)
    """AMQP topic patterns on the event type; `*` alone means all."""
    filter: str | None = Field(default=None, max_length=16_384)
    """A CEL expression over `event` that must be true."""
    unmatched: bool = False
    """true: of the events that it asks for it gets those that no other hook asks for, disabled hooks included."""
    enabled: bool = True
    """false: matching events are recorded SKIPPED."""
    paused: bool = False
    """true: matching events wait in the lane."""
    concurrency: int = Field(default=16, ge=1, le=1000)
    """Attempts at once, per process."""
    rate: PerSecond | None = Field(default=None, gt=0)
    """Attempts per second, per process."""
    retry: Retry = Retry()
    """When failed attempts are tried again."""
    target: Target
    """Where its deliveries go."""

    _id: str | None = PrivateAttr(default=None)
    _fault: HookFault | None = PrivateAttr(default=None)

    @property
    def id(self) -> str:
        """The id that names the lane and stands in labels: the name where it is from the file, else as it was made."""
        return self._id or self.name

    @property
    def from_file(self) -> bool:
        """Whether it is written in the file, not made through the API."""
        return self._id is None

    def with_id(self, hook_id: str) -> "Hook":
        """The same hook, made through the API: its id never changes, its name may."""
        hook = self.model_copy()
        hook._id = hook_id  # noqa: SLF001 -- of its own class
        return hook

    @property
    def fault(self) -> HookFault | None:
        """Why it cannot be served; None: nothing is wrong with it."""
        return self._fault

    def with_fault(self, fault: HookFault) -> "Hook":
        """The same hook, broken."""
        hook = self.model_copy()
        hook._fault = fault  # noqa: SLF001 -- of its own class
        return hook

    def widened(self) -> "Hook":
        """The hook with all that it may ask for, where it cannot be read what it does ask for."""
        unread = self._fault.unread if self._fault is not None else ()
        whole: dict[str, Any] = {"sources": None, "events": ["*"], "filter": None}
        changes = {name: everything for name, everything in whole.items() if name in unread}
        return self.model_copy(update=changes) if changes else self
