"""The valid remainder of settings with faults: it is checked too, so that one check reports all faults."""

import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bridge.core.errors import Problem
from bridge.core.hook import Hook, HookFault
from bridge.core.target import Target
from bridge.settings.shape import written
from bridge.settings.tree import Settings
from bridge.settings.yaml import KeyPath

_TARGETS: dict[str, dict[str, Any]] = {
    "webhook": {"type": "webhook", "url": "http://left-out.invalid"},
    "script": {"type": "script", "command": ["left-out"]},
    "queue": {"type": "queue", "queue": "left-out"},
    "notify": {"type": "notify", "urls": ["json://left-out.invalid"]},
}
_VERIFY = [{"type": "token", "header": "x-left-out", "secret": "left-out"}]
_REFERENCES = {"sources": (".sources", ".source"), "brokers": (".target.broker",)}


@dataclass(frozen=True, slots=True)
class Remainder:
    """The valid part of given settings, without the invalid parts, which are `left_out`."""

    settings: Settings
    errors: list[ErrorDetails]
    """What is wrong with the given ones; empty: nothing was left out."""
    left_out: frozenset[KeyPath]


def remainder(
    value: dict[str, Any], errors: list[ErrorDetails], place_of: Callable[[ErrorDetails], KeyPath]
) -> Remainder:
    """Returns the valid part of `value`, which has these errors and is not changed; `place_of` returns the path of an error."""
    value, found, left_out = deepcopy(value), errors, frozenset[KeyPath]()
    while True:
        gone: set[KeyPath] = set()
        for each in found:
            gone.add(_leave_out(value, place_of(each), gone))
        if gone <= left_out or () in gone:
            return Remainder(Settings(), errors, frozenset({()}))
        left_out |= gone
        try:
            return Remainder(Settings.model_validate(value), errors, left_out)
        except ValidationError as error:
            found = error.errors(include_url=False)


def trustworthy(path: str, left_out: Iterable[KeyPath]) -> bool:
    """Returns whether a fault at `path` of a remainder is in the file, and not caused by the missing parts.

    Parts that belong together (a whole target, all verifiers of an inlet) are checked together or not at all.
    """
    for place in left_out:
        unit = written(place[:3])
        if not unit or path == unit or path.startswith((f"{unit}.", f"{unit}[")):
            return False
        if _names(place) and path.partition("]")[2].startswith(_REFERENCES[str(place[0])]):
            return False
    return True


def _names(place: KeyPath) -> bool:
    """Returns whether the path is that of a name to which other settings refer."""
    return place[0] in _REFERENCES and (len(place) < 3 or place[2] == "name")


def _leave_out(value: dict[str, Any], path: KeyPath, gone: Container[KeyPath]) -> KeyPath:
    """Removes the value at the path or around it, with a stand-in where a value is required.

    Returns the path that was removed, possibly before; () if nothing could be removed.
    """
    whole = path
    while path and not any(whole[:length] in gone for length in range(1, len(whole) + 1)):
        holder, stand_in = _at(value, path[:-1]), _stand_in(path, _at(value, path))
        if stand_in is not None and _takes(holder, path[-1]) and _at(value, path) != stand_in:
            holder[path[-1]] = stand_in
            return path
        if stand_in is None and isinstance(holder, dict) and path[-1] in holder:
            del holder[path[-1]]
            return path
        path = path[:-1]
    return path


def stand_in_name(index: int | str) -> str:
    """Returns the name of a stand-in for an object without a valid name."""
    return f"left-out-{index}"


def stand_in_target(kind: str) -> dict[str, Any]:
    """Returns the stand-in for a target of this type of which nothing else is readable."""
    return _TARGETS.get(kind, _TARGETS["queue"])


def is_stand_in(target: Target) -> bool:
    """Returns whether the target is a stand-in for one of which at most the type was readable."""
    return target == type(target).model_validate(_TARGETS[target.type])


def _stand_in(path: KeyPath, old: Any) -> Any:
    """Returns a valid value without effect for a required one, of the kind that the `old` one should have had."""
    name = stand_in_name(path[1]) if len(path) > 1 else ""
    if path[0] == "hooks" and len(path) == 2:
        name = _text(old, "name") or name
        old = _at(old, ("target",))
    target = stand_in_target(_text(old, "type"))
    wholes: dict[str, dict[str, Any]] = {
        "sources": {"name": name, "queue": name},
        "hooks": {"name": name, "target": target},
        "inlets": {"name": name, "source": name, "verify": _VERIFY},
    }
    whole = wholes.get(str(path[0]))
    if whole is None or len(path) not in {2, 3}:
        return None
    return whole if len(path) == 2 else whole.get(str(path[2]))


def _text(value: Any, key: str) -> str:
    found = _at(value, (key,))
    return found if isinstance(found, str) else ""


def _at(value: Any, path: KeyPath) -> Any:
    for step in path:
        if not _takes(value, step) or (isinstance(value, dict) and step not in value):
            return None
        value = value[step]
    return value


def _takes(holder: Any, step: str | int) -> bool:
    """Returns whether a value may be put there: under any key of a mapping, or at an existing index of a list."""
    return isinstance(holder, dict) or (
        isinstance(holder, list) and isinstance(step, int) and step < len(holder)
    )


# The hooks with faults, separated from faults that concern more than one hook.


_OF_HOOK = re.compile(r"hooks\[(\d+)\]\.?(.*)", re.DOTALL)
_ASKING = frozenset({"sources", "events", "filter"})
_MOST_TOLD = 5


def broken_apart(settings: Settings, problems: Sequence[Problem]) -> tuple[Settings, list[Problem]]:
    """Returns the settings with each hook that has problems marked as broken, and the problems that are not of a single hook.

    `settings` is the valid part, with stand-ins for the rest. A hook without a valid name cannot be separated: its lane has
    that name, and without the lane its events would be lost.
    """
    of_hooks: defaultdict[int, list[tuple[str, Problem]]] = defaultdict(list)
    others: list[Problem] = []
    for problem in problems:
        found = _OF_HOOK.fullmatch(problem.path)
        if found and _is_named(settings, int(found[1])) and found[2] != "name":
            of_hooks[int(found[1])].append((found[2], problem))
        else:
            others.append(problem)
    hooks = [
        _broken(hook, of_hooks[index]) if index in of_hooks else hook
        for index, hook in enumerate(settings.hooks)
    ]
    return settings.model_copy(update={"hooks": hooks}), others


def _is_named(settings: Settings, index: int) -> bool:
    return index < len(settings.hooks) and settings.hooks[index].name != stand_in_name(index)


def _broken(hook: Hook, problems: Sequence[tuple[str, Problem]]) -> Hook:
    told = [f"{path or hook.name}: {problem.message}" for path, problem in problems]
    more = [f"and {len(told) - _MOST_TOLD} more"] if len(told) > _MOST_TOLD else []
    heads = {re.split(r"[.\[]", path, maxsplit=1)[0] for path, _ in problems}
    unread = _ASKING if "" in heads else heads & _ASKING
    unread = unread | {"target"} if is_stand_in(hook.target) else unread
    return hook.with_fault(HookFault("; ".join([*told[:_MOST_TOLD], *more]), frozenset(unread)))
