"""The decoded messages between decoding and routing, with the remaining deliveries of each event."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from bridge.core.base import value
from bridge.core.event import Event
from bridge.core.guards import Earlier, EventKey
from bridge.pipeline.settlement import Settlement

_NONE: frozenset[str] = frozenset()


@value(frozen=True, slots=True)
class Remaining:
    """The remaining deliveries of an event: all for a new one, fewer for one that was received `before`.

    Hooks in `settled` have a committed fate of the event; None: all hooks have. For a `duplicate` each hook gets a record, and
    no delivery.
    """

    event: Event
    settled: frozenset[str] | None = _NONE
    before: bool = False
    duplicate: bool = False


@dataclass(slots=True, eq=False)
class Part:
    """One event of a message. `digest`: the digest of its key, None if it has none; `earlier`: the earlier event in the
    history; `remaining`: its remaining deliveries, once decided.
    """

    event: Event
    digest: str | None = None
    earlier: Earlier | None = None
    remaining: Remaining | None = None

    @property
    def id(self) -> str:
        """Returns the id that the event keeps."""
        return self.event.id if self.earlier is None else self.earlier.event_id

    def resume(self, earlier: Earlier | None, *, before: bool = False) -> None:
        """Decides that the event is delivered to all hooks that have no fate of it yet."""
        if earlier is None:
            self.remaining = Remaining(self.event)
        else:
            event = replace(self.event, id=earlier.event_id)
            self.remaining = Remaining(event, earlier.hooks, before=before or bool(earlier.hooks))


@dataclass(slots=True, eq=False)
class ReceivedMessage:
    """A decoded message with all its events; `resume` is called with the remaining deliveries of each."""

    parts: list[Part]
    settlement: Settlement
    redelivered: bool
    window: float
    resume: Callable[[list[Remaining]], None]
    claims: list[tuple[str, str]] = field(default_factory=list)

    def known_by(self) -> list[tuple[Part, EventKey]]:
        """Returns the parts that the history can know if the message was received before."""
        if not self.redelivered:
            return []
        return [
            (part, (part.event.source, part.event.publisher_id, part.event.webhook_id))
            for part in self.parts
            if part.event.publisher_id and part.remaining is None
        ]

    def undecided(self) -> list[tuple[Part, str]]:
        """Returns the parts whose key has no known owner yet."""
        return [
            (part, part.digest) for part in self.parts if part.digest is not None and part.remaining is None
        ]
