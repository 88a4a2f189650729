"""A message of which something may be known already, and its way on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from bridge.core.delivery import DUPLICATE, Delivery, Skipped, Unmatched
from bridge.core.event import Event, Refused
from bridge.core.guards import Earlier, EventKey
from bridge.pipeline.deliver import Delivering
from bridge.pipeline.hook_worker import HookWorker
from bridge.pipeline.settlement import Settlement, Work


@dataclass(frozen=True, slots=True)
class Recalled:
    """An event of which something is known already: it came `before`, or is the `duplicate` of another.

    `hooks` need it no more; None: nobody does.
    """

    event: Event
    hooks: frozenset[str] | None = frozenset()
    before: bool = False
    duplicate: bool = False


@dataclass(slots=True, eq=False)
class Part:
    """One event of a message; `digest` is that of its key, None where it has none. `earlier`: what the history has of it,
    `recalled`: how it goes on, once that is decided.
    """

    event: Event
    digest: str | None = None
    earlier: Earlier | None = None
    recalled: Recalled | None = None

    @property
    def id(self) -> str:
        """The id that the event goes by."""
        return self.event.id if self.earlier is None else self.earlier.event_id

    def go_on(self, earlier: Earlier | None, *, before: bool = False) -> None:
        """Decided: to all hooks but those which have a fate of the event already."""
        if earlier is None:
            self.recalled = Recalled(self.event)
        else:
            event = replace(self.event, id=earlier.event_id)
            self.recalled = Recalled(event, earlier.hooks, before=before or bool(earlier.hooks))


@dataclass(slots=True, eq=False)
class ReceivedMessage:
    """A decoded message with all its events; `go_on` is called with what is known of each."""

    parts: list[Part]
    settlement: Settlement
    redelivered: bool
    window: float
    go_on: Callable[[list[Recalled]], None]
    claims: list[tuple[str, str]] = field(default_factory=list)

    def known_by(self) -> list[tuple[Part, EventKey]]:
        """The parts that the history can know, if the message came before."""
        if not self.redelivered:
            return []
        return [
            (part, (part.event.source, part.event.publisher_id, part.event.webhook_id))
            for part in self.parts
            if part.event.publisher_id and part.recalled is None
        ]

    def undecided(self) -> list[tuple[Part, str]]:
        """The parts of which it is not known yet whose their key is."""
        return [
            (part, part.digest) for part in self.parts if part.digest is not None and part.recalled is None
        ]


def resume(
    delivering: Delivering, recalled: Sequence[Recalled], refused: Sequence[Refused], settlement: Settlement
) -> None:
    """Start what is left of the message. One more than that is left open, for the caller to take away once nothing else
    comes to it.
    """
    matched = [_left_over(delivering, one) for one in recalled]
    settlement.carries(1 + sum(map(len, matched)) + len(refused))
    for one, runners in zip(recalled, matched, strict=True):
        for runner in runners:
            _start(delivering, one, runner, settlement)
    for each in refused:
        delivering.quarantine(each.why, each.message, settlement)


def _left_over(delivering: Delivering, one: Recalled) -> list[HookWorker | None]:
    """The runners that have something to do; None in their place: an event that nobody asked for."""
    if one.hooks is None:
        return []
    runners = delivering.table.match(one.event)
    if not runners and not one.before:
        return [None]
    return [runner for runner in runners if runner.hook.id not in one.hooks]


def _start(delivering: Delivering, one: Recalled, runner: HookWorker | None, settlement: Settlement) -> None:
    if runner is None:
        delivering.watch.unmatched(one.event)
        delivering.recorder.add(Unmatched(one.event), settlement)
        return
    work = Work(Delivery(delivering.new_id(), one.event, runner.hook.id), settlement)
    if one.duplicate:
        delivering.record(runner, work, Skipped(DUPLICATE))
    else:
        delivering.start(runner, work)
