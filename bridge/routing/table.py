"""Which hooks an event goes to."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from bridge.core.event import OWN_EVENTS, Event
from bridge.core.hook import Hook
from bridge.expressions.engine import EvaluationError, Facts, Filter, View, compile_filter
from bridge.routing import patterns
from bridge.routing.patterns import PatternIndex

# Which sources a hook listens to.


def listens(hook: Hook, source: str) -> bool:
    """Whether events of the source are looked at for the hook.

    One that names no sources listens to all that people set up; the bridge's own events it has to ask for by name.
    """
    return source != OWN_EVENTS if hook.sources is None else source in hook.sources


KNOWN_TYPES = 4096
"""How many pairs of source and event type are remembered with their hooks."""


@dataclass(frozen=True, slots=True)
class Match:
    """The hooks that asked for an event, in the order of the table, disabled and paused ones among them.

    `unanswered` are hooks whose filter came to neither true nor false: no match, and to be counted.
    """

    hooks: tuple[Hook, ...]
    unanswered: tuple[tuple[Hook, EvaluationError], ...] = ()


class Decision(StrEnum):
    """What came of one hook for one event."""

    MATCH = "match"
    DISABLED = "disabled"
    OTHER_SOURCE = "other_source"
    NO_PATTERN = "no_pattern"
    FILTERED = "filtered"
    TAKEN = "taken"
    FILTER_MISSING_KEY = "filter_missing_key"
    FILTER_ERROR = "filter_error"


MATCHING = frozenset({Decision.MATCH, Decision.DISABLED})
"""A hook asks for the event."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a hook does or does not get an event. DISABLED: it matches, and the delivery is skipped; TAKEN: it would match, but
    takes only what no other hook asks for.
    """

    hook: Hook
    decision: Decision
    detail: str


@dataclass(frozen=True, slots=True)
class _Candidates:
    """The hooks that one source and type lead to, and what their filters look at; None where none has one.

    `rest` are those that take what no other hook asks for, where it depends on filters whether any does.
    """

    match: Match
    filters: tuple[Filter | None, ...]
    view: View | None
    rest: "_Candidates | None" = None


class RoutingTable:
    """All hooks, compiled; never changes. A new set of hooks is a new table."""

    def __init__(self, hooks: Sequence[Hook]) -> None:
        """Raises ValueError, naming the hook, for a bad pattern or filter and for an id that comes twice."""
        self.hooks = tuple(hooks)
        self._by_id = {hook.id: hook for hook in self.hooks}
        if len(self._by_id) < len(self.hooks):
            raise ValueError("two hooks have the same id")
        self._filters = tuple(_filter_of(hook) for hook in self.hooks)
        self._any_source = PatternIndex()
        self._of_source: defaultdict[str, PatternIndex] = defaultdict(PatternIndex)
        for number, hook in enumerate(self.hooks):
            self._index(number, hook)
        self._candidates = lru_cache(maxsize=KNOWN_TYPES)(self._look_up)

    def get(self, hook_id: str) -> Hook | None:
        """The hook with this id."""
        return self._by_id.get(hook_id)

    def is_named(self, source: str) -> bool:
        """Whether any hook asks for this source by its name."""
        return source in self._of_source

    def match(self, event: Event) -> Match:
        """The hooks that asked for `event`; never raises."""
        candidates = self._candidates(event.source, event.type)
        rest = candidates.rest
        if candidates.view is None and rest is None:
            return candidates.match
        found = _asked(candidates, event)
        if rest is None or any(map(_takes, found.hooks)):
            return found
        left = _asked(rest, event)
        return Match((*found.hooks, *left.hooks), (*found.unanswered, *left.unanswered))

    def explain(self, event: Event) -> list[Explanation]:
        """What comes of each hook for `event`, in the order of the table."""
        alone = [_explain(hook, each, event) for hook, each in zip(self.hooks, self._filters, strict=True)]
        takers = [each.hook.name for each in alone if each.decision in MATCHING and _takes(each.hook)]
        return [_taken(each, takers[0]) if takers else each for each in alone]

    def _index(self, number: int, hook: Hook) -> None:
        indexes = (
            [self._any_source]
            if hook.sources is None
            else [self._of_source[source] for source in hook.sources]
        )
        for pattern in hook.events:
            for index in indexes:
                index.add(pattern, number)

    def _look_up(self, source: str, event_type: str) -> _Candidates:
        numbers = set() if source == OWN_EVENTS else self._any_source.find(event_type)
        if source in self._of_source:
            numbers |= self._of_source[source].find(event_type)
        first = self._chosen(number for number in numbers if not self.hooks[number].unmatched)
        rest = self._chosen(number for number in numbers if self.hooks[number].unmatched)
        if not first.filters:
            return rest
        certain = any(
            condition is None and _takes(hook)
            for hook, condition in zip(first.match.hooks, first.filters, strict=True)
        )
        return replace(first, rest=rest) if rest.filters and not certain else first

    def _chosen(self, numbers: Iterable[int]) -> _Candidates:
        chosen = sorted(numbers)
        filters = tuple(self._filters[number] for number in chosen)
        views = {each.view for each in filters if each}
        return _Candidates(
            Match(tuple(self.hooks[number] for number in chosen)),
            filters,
            View.union(views) if views else None,
        )


def _takes(hook: Hook) -> bool:
    """What it gets is not for those who take the rest. A broken hook of which nobody knows what it asks for gets all
    events, and may ask for none of them: what no other hook takes must not wait for it alone.
    """
    return not hook.unmatched and not (hook.fault is not None and hook.fault.provisional)


def _taken(alone: Explanation, by: str) -> Explanation:
    """What comes of a hook that would get the event if it were not for another one."""
    if not alone.hook.unmatched or alone.decision not in MATCHING:
        return alone
    return Explanation(alone.hook, Decision.TAKEN, f"takes what no other hook asks for, and {by} does")


def _filter_of(hook: Hook) -> Filter | None:
    """The hook's filter; raises ValueError for what cannot be routed by."""
    try:
        for pattern in hook.events:
            patterns.check(pattern)
        return None if hook.filter is None else compile_filter(hook.filter)
    except ValueError as error:
        raise ValueError(f"hook {hook.name}: {error}") from None


def _asked(candidates: _Candidates, event: Event) -> Match:
    return candidates.match if candidates.view is None else _ask(candidates, candidates.view.of(event), event)


def _ask(candidates: _Candidates, facts: Facts, event: Event) -> Match:
    """Let the filters decide; one that several hooks share is asked once."""
    answers: dict[Filter | None, bool | EvaluationError] = {None: True}
    matched: list[Hook] = []
    unanswered: list[tuple[Hook, EvaluationError]] = []
    for hook, condition in zip(candidates.match.hooks, candidates.filters, strict=True):
        if condition and condition not in answers:
            answers[condition] = condition.ask(facts, event)
        answer = answers[condition]
        if answer is True:
            matched.append(hook)
        elif answer is not False:
            unanswered.append((hook, answer))
    return Match(tuple(matched), tuple(unanswered))


def _heard(hook: Hook) -> str:
    if hook.sources is None:
        return f"every source but `{OWN_EVENTS}`, which `sources` has to name"
    return ", ".join(hook.sources) or "nothing"


def _explain(hook: Hook, condition: Filter | None, event: Event) -> Explanation:
    """One hook by itself, without the index."""
    if not listens(hook, event.source):
        return Explanation(hook, Decision.OTHER_SOURCE, f"listens to {_heard(hook)}")
    pattern = next((each for each in hook.events if patterns.matches(each, event.type)), None)
    if pattern is None:
        return Explanation(
            hook, Decision.NO_PATTERN, f"{event.type!r} matches none of {', '.join(hook.events)}"
        )
    answer = condition.ask(condition.view.of(event), event) if condition else True
    if answer is True:
        decision = Decision.MATCH if hook.enabled else Decision.DISABLED
        return Explanation(hook, decision, f"{event.type!r} matches {pattern}")
    without = f"; there are no data: {event.data_fault}" if event.data_fault else ""
    if answer is False:
        return Explanation(hook, Decision.FILTERED, f"the filter is false: {hook.filter}{without}")
    decision = Decision.FILTER_MISSING_KEY if answer.missing else Decision.FILTER_ERROR
    return Explanation(hook, decision, answer.detail + without)
