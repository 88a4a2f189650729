"""Which hooks there are: the workers that an event goes to, and the hooks that are deleted."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

from bridge.core.delivery import Record, Status
from bridge.core.event import Event, Message
from bridge.core.hook import Hook
from bridge.expressions.engine import EvaluationError
from bridge.pipeline.hook_worker import HookWorker
from bridge.pipeline.recorder import Recorder
from bridge.pipeline.settlement import Work
from bridge.routing.table import Match, RoutingTable, listens

T = TypeVar("T")

_MOST = 10_000
"""Precomputed values that are kept; when there are more, all are discarded."""
HOOK_DELETED = "hook_deleted"


class Precomputed(Generic[T]):
    """One thing of each event, noted in a thread and taken once on the event loop, soon."""

    def __init__(self) -> None:
        # By the message, which stays when the event gets the id that it had before. An entry keeps it, so that no other
        # one is taken for it.
        self._found: dict[int, tuple[Message, T]] = {}

    def note(self, event: Event, found: T) -> None:
        """Keep it until it is taken; much that nobody takes goes."""
        if len(self._found) >= _MOST:
            self._found = {}
        self._found[id(event.message)] = (event.message, found)

    def take(self, event: Event, otherwise: T) -> T:
        """What was noted of the event."""
        if not self._found:
            return otherwise
        noted = self._found.pop(id(event.message), None)
        return otherwise if noted is None else noted[1]


class HookTable:
    """The routing table of today and the runner of each of its hooks.

    Readers run on the event loop between two swaps, so they always see one whole table.
    """

    def __init__(self, unanswered: Callable[[Event, Sequence[tuple[Hook, EvaluationError]]], None]) -> None:
        """`unanswered` hears of filters that came to neither true nor false: no match, and to be counted."""
        self._unanswered = unanswered
        self._routing = RoutingTable(())
        self._runners: dict[str, HookWorker] = {}
        self._foreseen = Precomputed[tuple[RoutingTable, Match] | None]()

    def swap(self, routing: RoutingTable, runners: Mapping[str, HookWorker]) -> None:
        """Route by this from now on; `runners` holds one for every hook of `routing`, by hook id."""
        self._routing = routing
        self._runners = dict(runners)

    @property
    def routing(self) -> RoutingTable:
        """What events are routed by now."""
        return self._routing

    def match(self, event: Event) -> list[HookWorker]:
        """The runners of all hooks that ask for the event, disabled ones included."""
        runners = self._runners
        routing = self._routing
        foreseen = self._foreseen.take(event, None)
        match = foreseen[1] if foreseen and foreseen[0] is routing else routing.match(event)
        if match.unanswered:
            self._unanswered(event, match.unanswered)
        return [runners[hook.id] for hook in match.hooks]

    def foresee(self, event: Event) -> None:
        """Match a large event in a thread, where its filters hold up nobody; `match` asks for it soon."""
        routing = self._routing
        self._foreseen.note(event, (routing, routing.match(event)))

    def forget(self, event: Event) -> None:
        """Nobody asks for what was foreseen of it."""
        self._foreseen.take(event, None)

    def asks(self, hook: str, event: Event) -> bool:
        """Whether this hook asks for the event."""
        return any(each.id == hook for each in self._routing.match(event).hooks)

    def listeners(self, source: str) -> int:
        """How many hooks listen to this source."""
        return sum(1 for hook in self._routing.hooks if listens(hook, source))

    def get(self, hook: str) -> HookWorker | None:
        """The runner of a hook, None where there is no such hook."""
        return self._runners.get(hook)

    def id_of(self, which: str) -> str:
        """The id of the hook with this id, else of the one with this name; `which` itself where there is none."""
        if which in self._runners:
            return which
        return next((one for one, runner in self._runners.items() if runner.hook.name == which), which)

    def __iter__(self) -> Iterator[HookWorker]:
        return iter(list(self._runners.values()))

    def __len__(self) -> int:
        return len(self._runners)


class Deleted:
    """Those known here, their lanes deleted or about to be."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._targets: Mapping[str, str] = {}

    def are(self, targets: Mapping[str, str]) -> None:
        """These hooks and no others, with the types of their targets as far as these are known."""
        self._targets = targets

    def __contains__(self, hook: str) -> bool:
        return hook in self._targets

    def end(self, work: Work) -> None:
        """Nobody will deliver it: record that, and settle its message after the commit."""
        work.settlement.started = True
        delivery = work.delivery
        record = Record(
            delivery=delivery,
            target=self._targets.get(delivery.hook, ""),
            status=Status.FAILED,
            reason=HOOK_DELETED,
            at=time.time(),
            waited=work.from_lane,
        )
        self._recorder.add(record, work.settlement)
