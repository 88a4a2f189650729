"""Which runners an event goes to; swapped whole when hooks change."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from bridge.core.event import Event
from bridge.core.hook import Hook
from bridge.expressions.engine import EvaluationError
from bridge.pipeline.foreseen import Precomputed
from bridge.pipeline.hook_worker import HookWorker
from bridge.routing.table import Match, RoutingTable, listens


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
