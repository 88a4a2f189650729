"""A decoded message on its way to the fan-out: what remains to be done for each of its events."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from bridge.core.base import value
from bridge.core.event import Event
from bridge.core.guards import Earlier, EventKey
from bridge.pipeline.settlement import Settlement

_NONE: frozenset[str] = frozenset()


@value(frozen=True, slots=True)
class Remaining:
    """An event and what remains to be done for it: all of a new one, less of one that came `before`.

    Hooks that are `settled` have a committed fate of the event; None: nothing remains for any hook. Of a `duplicate`
    each hook gets a record, and no delivery.
    """

    event: Event
    settled: frozenset[str] | None = _NONE
    before: bool = False
    duplicate: bool = False


@dataclass(slots=True, eq=False)
class Part:
    """One event of a message; `digest` is that of its key, None where it has none. `earlier`: what the history has of it,
    `remaining`: what is to be done for it, once that is decided.
    """

    event: Event
    digest: str | None = None
    earlier: Earlier | None = None
    remaining: Remaining | None = None

    @property
    def id(self) -> str:
        """The id that the event goes by."""
        return self.event.id if self.earlier is None else self.earlier.event_id

    def go_on(self, earlier: Earlier | None, *, before: bool = False) -> None:
        """Decided: to all hooks but those which have a fate of the event already."""
        if earlier is None:
            self.remaining = Remaining(self.event)
        else:
            event = replace(self.event, id=earlier.event_id)
            self.remaining = Remaining(event, earlier.hooks, before=before or bool(earlier.hooks))


@dataclass(slots=True, eq=False)
class ReceivedMessage:
    """A decoded message with all its events; `go_on` is called with what remains to be done for each."""

    parts: list[Part]
    settlement: Settlement
    redelivered: bool
    window: float
    go_on: Callable[[list[Remaining]], None]
    claims: list[tuple[str, str]] = field(default_factory=list)

    def known_by(self) -> list[tuple[Part, EventKey]]:
        """The parts that the history can know, if the message came before."""
        if not self.redelivered:
            return []
        return [
            (part, (part.event.source, part.event.publisher_id, part.event.webhook_id))
            for part in self.parts
            if part.event.publisher_id and part.remaining is None
        ]

    def undecided(self) -> list[tuple[Part, str]]:
        """The parts of which it is not known yet whose their key is."""
        return [
            (part, part.digest) for part in self.parts if part.digest is not None and part.remaining is None
        ]
