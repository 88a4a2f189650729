"""Which runners an event goes to; swapped whole when hooks change."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bridge.model.event import Event, Message
from bridge.model.hook import Hook
from bridge.pipeline.hook import HookRunner
from bridge.rules.routing.expression import Unanswered
from bridge.rules.routing.listening import listens
from bridge.rules.routing.table import Match, RoutingTable

_MOST_FORESEEN = 10_000


@dataclass(frozen=True, slots=True)
class _Foreseen:
    """Which hooks ask for a message by a routing table."""

    message: Message
    routing: RoutingTable
    match: Match


class HookTable:
    """The routing table of today and the runner of each of its hooks.

    Readers run on the event loop between two swaps, so they always see one whole table.
    """

    def __init__(self, unanswered: Callable[[Event, Sequence[tuple[Hook, Unanswered]]], None]) -> None:
        """`unanswered` hears of filters that came to neither true nor false: no match, and to be counted."""
        self._unanswered = unanswered
        self._routing = RoutingTable(())
        self._runners: dict[str, HookRunner] = {}
        self._foreseen: dict[str, _Foreseen] = {}

    def swap(self, routing: RoutingTable, runners: Mapping[str, HookRunner]) -> None:
        """Route by this from now on; `runners` holds one for every hook of `routing`, by hook id."""
        self._routing = routing
        self._runners = dict(runners)

    @property
    def routing(self) -> RoutingTable:
        """What events are routed by now."""
        return self._routing

    def match(self, event: Event) -> list[HookRunner]:
        """The runners of all hooks that ask for the event, disabled ones included."""
        runners = self._runners
        match = (self._foreseen and self._take_foreseen(event)) or self._routing.match(event)
        if match.unanswered:
            self._unanswered(event, match.unanswered)
        return [runners[hook.id] for hook in match.hooks]

    def foresee(self, event: Event) -> None:
        """Match a large event in a thread, where its filters hold up nobody; `match` asks for it soon."""
        routing = self._routing
        if len(self._foreseen) >= _MOST_FORESEEN:
            self._foreseen = {}
        self._foreseen[event.webhook_id] = _Foreseen(event.message, routing, routing.match(event))

    def _take_foreseen(self, event: Event) -> Match | None:
        found = self._foreseen.pop(event.webhook_id, None)
        fits = found is not None and found.message is event.message and found.routing is self._routing
        return found.match if found is not None and fits else None

    def asks(self, hook: str, event: Event) -> bool:
        """Whether this hook asks for the event."""
        return any(each.id == hook for each in self._routing.match(event).hooks)

    def listeners(self, source: str) -> int:
        """How many hooks listen to this source."""
        return sum(1 for hook in self._routing.hooks if listens(hook, source))

    def get(self, hook: str) -> HookRunner | None:
        """The runner of a hook, None where there is no such hook."""
        return self._runners.get(hook)

    def id_of(self, which: str) -> str:
        """The id of the hook with this id, else of the one with this name; `which` itself where there is none."""
        if which in self._runners:
            return which
        return next((one for one, runner in self._runners.items() if runner.hook.name == which), which)

    def __iter__(self) -> Iterator[HookRunner]:
        return iter(list(self._runners.values()))

    def __len__(self) -> int:
        return len(self._runners)
