"""AMQP topic patterns on event types: `*` matches one word, `#` zero or more words.

Source: AMQP 0-9-1, 3.1.3.3, with one addition: `*` alone matches every type.
"""

import re
from collections.abc import Iterator

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
