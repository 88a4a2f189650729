"""The list of hooks: filtered, sorted by trouble, by what waits or by failures, with what waits for each."""

import re
import time
from collections.abc import Callable
from typing import Self

from bridge.core.errors import HistoryUnavailable
from bridge.core.hook import Hook
from bridge.core.target import TARGET_TYPES
from bridge.history.waiting import AllWaiting, SqlWaiting
from bridge.hooks.presenter import HookDocument, SeenHook, breaker_word, seen_hooks
from bridge.hooks.service import InForce
from bridge.http.documents import PageDocument, UtcMoment
from bridge.http.input import PageQuery, one_of, page_by_key, text
from bridge.http.operation import Call, OperationGroup, reading
from bridge.settings.shown import without_password

_FRESH = 1.0
"""Seconds for which counts of waiting deliveries are remembered."""
_CURSOR = re.compile(r"([0-9]{24}:)?[a-z0-9-]{1,64}")
_MOST = 10**12 - 1


class HookInList(HookDocument):
    """A hook in a list."""

    waiting: int | None
    """Deliveries that wait for it, PENDING or RETRYING, counted up to 10,000; null while the database does not respond."""
    oldest_waiting_at: UtcMoment | None
    """When the event of the oldest of these was received."""
    failing_since: UtcMoment | None
    """First failed attempt since the last success; null if the last attempt succeeded."""
    failed_attempts: int
    """Number of failed attempts since then."""

    @classmethod
    def listed(cls, seen: SeenHook, waiting: AllWaiting | None) -> Self:
        """Returns the document; `waiting` None: it is not known."""
        of_hook = None if waiting is None else waiting.by_hook.get(seen.hook.id)
        health = seen.health
        return cls.of(
            seen,
            waiting=None if waiting is None else 0 if of_hook is None else of_hook.count,
            oldest_waiting_at=None if of_hook is None else of_hook.oldest_at,
            failing_since=None if health is None else health.failing_since,
            failed_attempts=0 if health is None else health.failed_attempts,
        )


class _HooksQuery(PageQuery):
    target = one_of("target", TARGET_TYPES, "Type of their target.")
    managed_by = one_of("managed_by", ("api", "file"), "Where they are written.")
    state = one_of(
        "state",
        ("active", "paused", "disabled", "broken", "failing"),
        "active: neither paused, disabled nor broken.",
    )
    q = text("q", "Text that stands in name, id, description or address, in any case.")
    sort = one_of(
        "sort",
        ("name", "trouble", "waiting", "failures"),
        "name (default); trouble: broken, failing, paused, breaker open, held back, then the others; waiting: those with the most waiting "
        "deliveries first; failures: those with the most failed attempts since their last success first.",
    )


class HookListRoutes(OperationGroup):
    """The operation that lists hooks."""

    def __init__(self, in_force: InForce, waiting: SqlWaiting) -> None:
        self._in_force = in_force
        self._store = waiting
        self._waiting: tuple[float, AllWaiting | None] = (-_FRESH, None)

    @reading("hooks.list", "/v1/hooks", "List hooks, without secrets")
    async def _list(self, call: Call[_HooksQuery, None]) -> PageDocument[HookInList]:
        fitting = [each for each in seen_hooks(self._in_force) if _fits(each, call.query)]
        waiting = await self._counted()
        found, following = page_by_key(call.query, fitting, _key(call.query.sort, waiting), _CURSOR)
        return PageDocument.of((HookInList.listed(each, waiting) for each in found), following)

    async def _counted(self) -> AllWaiting | None:
        """Returns what waits, None while the database does not respond: hooks are shown all the same."""
        if time.monotonic() - self._waiting[0] > _FRESH:
            try:
                self._waiting = time.monotonic(), await self._store.by_hook()
            except HistoryUnavailable:
                self._waiting = time.monotonic(), None
        return self._waiting[1]


def _key(sort: str | None, waiting: AllWaiting | None) -> Callable[[SeenHook], str]:
    """Returns the key of a hook in this order: numbers, the greatest first, then its name."""

    def count(seen: SeenHook) -> int:
        found = None if waiting is None else waiting.by_hook.get(seen.hook.id)
        return 0 if found is None else found.count

    def failures(seen: SeenHook) -> int:
        return 0 if seen.health is None else seen.health.failed_attempts

    match sort:
        case "trouble":
            return lambda seen: _sortable(_trouble(seen), count(seen), seen)
        case "waiting":
            return lambda seen: _sortable(count(seen), 0, seen)
        case "failures":
            return lambda seen: _sortable(failures(seen), 0, seen)
        case _:
            return lambda seen: seen.hook.name


def _sortable(first: int, second: int, seen: SeenHook) -> str:
    return f"{_MOST - first:012d}{_MOST - second:012d}:{seen.hook.name}"


def _trouble(seen: SeenHook) -> int:
    """Returns how bad a hook fares; 0: it is disabled."""
    runner = seen.runner
    if seen.broken is not None:
        return 6
    if not seen.hook.enabled:
        return 0
    if seen.paused:
        return 4
    if seen.health is not None and seen.health.only_fails:
        return 5
    if runner is not None and breaker_word(runner) != "closed":
        return 3
    return 2 if runner is not None and runner.held_until > time.monotonic() else 1


def _fits(each: SeenHook, query: _HooksQuery) -> bool:
    hook = each.hook
    found = (
        (query.target, {hook.target.type}),
        (query.managed_by, {"file" if each.stored is None else "api"}),
        (query.state, _states(each)),
    )
    if not all(wanted is None or wanted in there for wanted, there in found):
        return False
    return query.q is None or query.q.lower() in _searched(hook)


def _states(each: SeenHook) -> set[str]:
    found = {"disabled": not each.hook.enabled, "paused": each.paused, "broken": each.broken is not None}
    switched = {state for state, there in found.items() if there} or {"active"}
    return switched | ({"failing"} if each.health is not None and each.health.only_fails else set())


def _searched(hook: Hook) -> str:
    address = getattr(hook.target, "url", None) or getattr(hook.target, "queue", None) or ""
    return "\n".join((hook.name, hook.id, hook.description, without_password(address))).lower()
