"""The routing table: selects the hooks that an event is delivered to."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from bridge.core.event import OWN_EVENTS, Event
from bridge.core.hook import Hook
from bridge.expressions.engine import EvaluationError, Facts, Filter, View, compile_filter

# AMQP topic patterns on event types: `*` matches one word, `#` zero or more words.
# Source: AMQP 0-9-1, 3.1.3.3, with one addition: `*` alone matches every type.


MAX_PATTERN_BYTES = 255
"""Maximum size of a pattern: an AMQP short string, so that it could be a binding key."""

_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def check(pattern: str) -> None:
    """Raises ValueError, with a correction, if `pattern` is not a valid pattern."""
    if not pattern:
        raise ValueError("an event pattern cannot be empty; `*` matches every event")
    if pattern != pattern.strip() or _UNFIT.search(pattern):
        raise ValueError(f"event pattern {pattern!r} has a space around it or a character that no type has")
    if len(pattern.encode()) > MAX_PATTERN_BYTES:
        raise ValueError(f"event pattern {pattern[:40]!r}... has more than {MAX_PATTERN_BYTES} bytes")
    for word in pattern.split("."):
        if not word:
            raise ValueError(f"event pattern {pattern!r} has an empty word: a dot too many")
        if word not in ("*", "#") and ("*" in word or "#" in word):
            raise ValueError(
                f"in event pattern {pattern!r}, `*` and `#` stand for whole words; {word!r} mixes them with text"
            )


def matches(pattern: str, event_type: str) -> bool:
    """Returns whether a valid `pattern` matches the type."""
    index = PatternIndex()
    index.add(pattern, 0)
    return bool(index.find(event_type))


class _Node:
    """A node of the trie of patterns; a node after `#` matches any word and stays."""

    __slots__ = ("ends", "stays", "words")

    def __init__(self, *, stays: bool = False) -> None:
        self.words: dict[str, _Node] = {}
        self.ends: list[int] = []
        self.stays = stays

    def child(self, word: str) -> "_Node":
        if word not in self.words:
            self.words[word] = _Node(stays=word == "#")
        return self.words[word]


class PatternIndex:
    """A trie of topic patterns, each with a number: matching cost hardly grows with the number of patterns."""

    def __init__(self) -> None:
        self._root = _Node()

    def add(self, pattern: str, number: int) -> None:
        """Add a valid pattern under `number`, which `find` returns for matching types."""
        node = self._root
        for word in ["#"] if pattern == "*" else pattern.split("."):
            node = node.child(word)
        node.ends.append(number)

    def find(self, event_type: str) -> set[int]:
        """Returns the numbers of all matching patterns.

        Follows all paths through the trie in step, word by word, so no pattern is slow, regardless of how many `#` it
        has.
        """
        places = _with_nothing_between({self._root})
        for word in event_type.split("."):
            places = _with_nothing_between({ahead for node in places for ahead in _ahead(node, word)})
        return {number for node in places for number in node.ends}


def _ahead(node: _Node, word: str) -> Iterator[_Node]:
    """Yield the nodes that one word leads to."""
    if node.stays:
        yield node
    if one := node.words.get("*"):
        yield one
    # "#" as a word of a type is literal text; in `words` it is the wildcard
    if word != "#" and (same := node.words.get(word)):
        yield same


def _with_nothing_between(places: set[_Node]) -> set[_Node]:
    """Returns the nodes and those behind a `#`, which also matches zero words."""
    waiting = list(places)
    while waiting:
        behind = waiting.pop().words.get("#")
        if behind and behind not in places:
            places.add(behind)
            waiting.append(behind)
    return places


# Selection by source.


def listens(hook: Hook, source: str) -> bool:
    """Returns whether the hook receives events of the source.

    A hook without `sources` receives events of every configured source; meta events only if it names their source.
    """
    return source != OWN_EVENTS if hook.sources is None else source in hook.sources


KNOWN_TYPES = 4096
"""The number of (source, event type) pairs whose hooks are cached."""


@dataclass(frozen=True, slots=True)
class Match:
    """The hooks that match an event, in the order of the table, disabled and paused hooks included.

    `unanswered` are hooks whose filter failed to evaluate: no match, but counted in the metrics.
    """

    hooks: tuple[Hook, ...]
    unanswered: tuple[tuple[Hook, EvaluationError], ...] = ()


class Decision(StrEnum):
    """The result of matching one hook with one event."""

    MATCH = "match"
    DISABLED = "disabled"
    OTHER_SOURCE = "other_source"
    NO_PATTERN = "no_pattern"
    FILTERED = "filtered"
    TAKEN = "taken"
    FILTER_MISSING_KEY = "filter_missing_key"
    FILTER_ERROR = "filter_error"


MATCHING = frozenset({Decision.MATCH, Decision.DISABLED})
"""The decisions that mean that the hook matches."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The reason why a hook does or does not receive an event. DISABLED: it matches, and the delivery is skipped;
    TAKEN: it matches, but receives only events that match no other hook.
    """

    hook: Hook
    decision: Decision
    detail: str


@dataclass(frozen=True, slots=True)
class _Candidates:
    """The hooks that match one source and type, and the fields that their filters read; None without filters.

    `rest` are the hooks for unmatched events, if the result depends on other hooks' filters.
    """

    match: Match
    filters: tuple[Filter | None, ...]
    view: View | None
    rest: "_Candidates | None" = None


class RoutingTable:
    """All hooks, compiled. Immutable: a change of hooks builds a new table."""

    def __init__(self, hooks: Sequence[Hook]) -> None:
        """Raises ValueError, naming the hook, for an invalid pattern or filter and for a duplicate id."""
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
        """Returns the hook with this id."""
        return self._by_id.get(hook_id)

    def is_named(self, source: str) -> bool:
        """Returns whether any hook names this source explicitly."""
        return source in self._of_source

    def match(self, event: Event) -> Match:
        """Returns the hooks that match `event`. Never raises."""
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
        """Returns the decision of each hook for `event`, in the order of the table."""
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
    """Returns whether a match of this hook keeps events from hooks for unmatched events. A broken hook with unknown
    restrictions receives all events but may match none of them, so it does not.
    """
    return not hook.unmatched and not (hook.fault is not None and hook.fault.provisional)


def _taken(alone: Explanation, by: str) -> Explanation:
    """Returns TAKEN for a hook for unmatched events that another hook keeps the event from."""
    if not alone.hook.unmatched or alone.decision not in MATCHING:
        return alone
    return Explanation(
        alone.hook, Decision.TAKEN, f"receives only events that match no other hook, and {by} matches"
    )


def _filter_of(hook: Hook) -> Filter | None:
    """Returns the hook's compiled filter. Raises ValueError for an invalid pattern or filter."""
    try:
        for pattern in hook.events:
            check(pattern)
        return None if hook.filter is None else compile_filter(hook.filter)
    except ValueError as error:
        raise ValueError(f"hook {hook.name}: {error}") from None


def _asked(candidates: _Candidates, event: Event) -> Match:
    return candidates.match if candidates.view is None else _ask(candidates, candidates.view.of(event), event)


def _ask(candidates: _Candidates, facts: Facts, event: Event) -> Match:
    """Evaluate the filters; a filter that several hooks share is evaluated once."""
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
    if not listens(hook, event.source):
        return Explanation(hook, Decision.OTHER_SOURCE, f"listens to {_heard(hook)}")
    pattern = next((each for each in hook.events if matches(each, event.type)), None)
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
