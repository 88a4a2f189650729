"""The hook table: the workers to which an event goes, and the deleted hooks."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Generic, TypeVar
from weakref import ref

from bridge.core.delivery import Record, Status
from bridge.core.event import Event, Message
from bridge.core.hook import Hook
from bridge.expressions.engine import EvaluationError
from bridge.pipeline.hook_worker import HookWorker
from bridge.pipeline.recorder import Recorder
from bridge.pipeline.settlement import Work
from bridge.routing.table import Match, RoutingTable, listens

T = TypeVar("T")

HOOK_DELETED = "hook_deleted"
_ID = attrgetter("id")


class Precomputed(Generic[T]):
    """Values computed from events in a thread, each of which is taken once on the event loop soon after.

    A value that nobody takes, such as that of a duplicate, is discarded with its message.
    """

    def __init__(self) -> None:
        # The key is the message, since the event may be replaced by one with its earlier id. The entry goes with the
        # message, so no other message can have the same id() meanwhile.
        self._found: dict[int, tuple[ref[Message], T]] = {}

    def __len__(self) -> int:
        """Returns the number of values that wait to be taken."""
        return len(self._found)

    def note(self, event: Event, found: T) -> None:
        """Stores a value, which must not reference the message, until it is taken."""
        key = id(event.message)
        self._found[key] = (ref(event.message, lambda _: self._found.pop(key, None)), found)

    def take(self, event: Event, otherwise: T) -> T:
        """Returns the value stored for the event, else `otherwise`."""
        if not self._found:
            return otherwise
        noted = self._found.pop(id(event.message), None)
        return otherwise if noted is None else noted[1]


class HookTable:
    """The current routing table and the worker of each of its hooks.

    Readers run on the event loop between two swaps, so they always see one consistent table.
    """

    def __init__(self, unanswered: Callable[[Event, Sequence[tuple[Hook, EvaluationError]]], None]) -> None:
        """`unanswered` is called with filters that evaluated to neither true nor false: they count as no match."""
        self._unanswered = unanswered
        self._routing = RoutingTable(())
        self._runners: dict[str, HookWorker] = {}
        self._foreseen = Precomputed[tuple[RoutingTable, Match] | None]()

    def swap(self, routing: RoutingTable, runners: Mapping[str, HookWorker]) -> None:
        """Replaces the table; `runners` holds a worker for every hook of `routing`, by hook id."""
        self._routing = routing
        self._runners = dict(runners)

    @property
    def routing(self) -> RoutingTable:
        """Returns the current routing table."""
        return self._routing

    def match(self, event: Event) -> list[HookWorker]:
        """Returns the workers of all hooks that ask for the event, disabled ones included."""
        runners = self._runners
        routing = self._routing
        foreseen = self._foreseen.take(event, None)
        match = foreseen[1] if foreseen and foreseen[0] is routing else routing.match(event)
        if match.unanswered:
            self._unanswered(event, match.unanswered)
        return list(map(runners.__getitem__, map(_ID, match.hooks)))

    def foresee(self, event: Event) -> None:
        """Matches a large event in a thread, so that its filters do not hold up the event loop; `match` takes the result."""
        routing = self._routing
        self._foreseen.note(event, (routing, routing.match(event)))

    def asks(self, hook: str, event: Event) -> bool:
        """Returns whether this hook asks for the event."""
        return any(each.id == hook for each in self._routing.match(event).hooks)

    def listeners(self, source: str) -> int:
        """Returns the number of hooks that listen to this source."""
        return sum(1 for hook in self._routing.hooks if listens(hook, source))

    def get(self, hook: str) -> HookWorker | None:
        """Returns the worker of a hook, None if the hook does not exist."""
        return self._runners.get(hook)

    def id_of(self, which: str) -> str:
        """Returns the id of the hook with this id, else of the hook with this name; `which` itself if neither exists."""
        if which in self._runners:
            return which
        return next((one for one, runner in self._runners.items() if runner.hook.name == which), which)

    def __iter__(self) -> Iterator[HookWorker]:
        return iter(list(self._runners.values()))

    def __len__(self) -> int:
        return len(self._runners)


class Deleted:
    """The deleted hooks that this process knows, whose lanes are deleted or about to be."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._targets: Mapping[str, str] = {}

    def are(self, targets: Mapping[str, str]) -> None:
        """Replaces the set of deleted hooks; the values are the types of their targets, where known."""
        self._targets = targets

    def __contains__(self, hook: str) -> bool:
        return hook in self._targets

    def __len__(self) -> int:
        return len(self._targets)

    def end(self, work: Work) -> None:
        """Ends a delivery of a deleted hook: records it as final, and settles its message after the commit."""
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
