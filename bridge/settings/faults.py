"""Hooks with faults, told apart from faults that concern more than one hook."""

import re
from collections import defaultdict
from collections.abc import Sequence

from bridge.model.errors import Problem
from bridge.model.hook import Hook, HookFault
from bridge.settings.remainder import is_stand_in, stand_in_name
from bridge.settings.tree import Settings

_OF_HOOK = re.compile(r"hooks\[(\d+)\]\.?(.*)", re.DOTALL)
_ASKING = frozenset({"sources", "events", "filter"})
_MOST_TOLD = 5


def broken_apart(settings: Settings, problems: Sequence[Problem]) -> tuple[Settings, list[Problem]]:
    """The settings with each hook that has problems marked as broken, and the problems that are not of one hook alone.

    `settings` are what is valid, with stand-ins for the rest. A hook without a valid name of its own cannot be kept apart:
    its lane goes by that name, and without one its events would be lost.
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
