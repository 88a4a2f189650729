"""What the bridge tells of itself: the data of each meta event, none of which holds a secret."""

from collections.abc import Hashable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol

from bridge.core.base import value
from bridge.core.hook import Hook
from bridge.core.statistics import FEWEST
from bridge.formats.text import utc_seconds

# How often the same may be told: a hook that changes all the time must not flood those who listen.


AT_ONCE = 10
"""Words about the same that may follow each other."""
REFILL = 60.0
"""Seconds after which one more is allowed."""
_MOST = 10_000


class RateLimiter:
    """A bucket of `AT_ONCE` words for each key, filled again by one every `REFILL` seconds."""

    def __init__(self) -> None:
        self._left: dict[Hashable, tuple[float, float, int]] = {}

    def take(self, key: Hashable, now: float) -> int | None:
        """How many about this key were kept back since the last one, where it may be told; None: keep it back."""
        left, at, kept_back = self._left.get(key, (AT_ONCE, now, 0))
        left = min(AT_ONCE, left + (now - at) / REFILL)
        if left < 1:
            self._left[key] = (left, now, kept_back + 1)
            return None
        if len(self._left) >= _MOST:
            self._forget(now)
        self._left[key] = (left - 1, now, 0)
        return kept_back

    def _forget(self, now: float) -> None:
        """Keys whose bucket is full again."""
        self._left = {
            key: state
            for key, state in self._left.items()
            if state[0] + (now - state[1]) / REFILL < AT_ONCE or state[2]
        }


# How long a hook has only failed, and which words that is worth.


LEVELS = (50, 70, 90, 100)
"""Per cent of the time after which a hook that only fails is paused."""


@value(frozen=True, slots=True)
class Standing:
    """How a hook has fared, and what was told of it. Times in Unix seconds; None: never.

    `failed_attempts` counts since the last success, `failing_since` is the first of them. `warned` is the highest of
    the LEVELS that was told (0: none), of a time that began at `warned_since`. `attended_at`: when a person last resumed
    or changed the hook, as far as that is recorded.
    """

    hook: str
    failing_since: float | None = None
    last_failure_at: float | None = None
    last_success_at: float | None = None
    failed_attempts: int = 0
    warned: int = 0
    warned_since: float | None = None
    attended_at: float = 0.0


@value(frozen=True, slots=True)
class Told:
    """What is to be told now: that it recovered, or the `levels` it has reached, of a time that began at `since`."""

    recovered: bool = False
    levels: tuple[int, ...] = ()
    since: float = 0.0


def words_for(standing: Standing, threshold: float) -> Told:
    """What has to be told of a hook that is paused after `threshold` seconds of nothing but failures; 0: never.

    Once somebody has attended to it, it has all the time again. The time ends with the last failure: of a hook that
    gets no events nobody knows whether it would still fail.
    """
    if standing.warned and _later(standing.last_success_at, standing.warned_since):
        return Told(recovered=True)
    failing_since, last = standing.failing_since, standing.last_failure_at
    if failing_since is None or last is None or threshold <= 0 or standing.failed_attempts < FEWEST:
        return Told()
    since = max(failing_since, standing.attended_at)
    told = standing.warned if standing.warned_since == since else 0
    percent = 100 * (last - since) / threshold
    return Told(levels=tuple(level for level in LEVELS if told < level <= percent), since=since)


def _later(moment: float | None, than: float | None) -> bool:
    return moment is not None and (than is None or moment > than)


class MetaType(StrEnum):
    """The types of meta events, which patterns of hooks are compared with."""

    FAILING = "hook.failing"
    RECOVERED = "hook.recovered"
    PAUSED = "hook.paused"
    RESUMED = "hook.resumed"
    DISABLED = "hook.disabled"
    ENABLED = "hook.enabled"
    BREAKER_OPEN = "hook.breaker_open"
    BREAKER_CLOSED = "hook.breaker_closed"
    QUARANTINE_GROWING = "quarantine.growing"


Facts = Mapping[str, Any]
"""JSON values by name."""

_SAID = {
    MetaType.PAUSED: "was paused by {by}",
    MetaType.RESUMED: "was resumed by {by}",
    MetaType.DISABLED: "was disabled by {by}",
    MetaType.ENABLED: "was enabled by {by}",
}


_ACTIONS: Mapping[str, MetaType] = MappingProxyType(
    {
        "hooks.pause": MetaType.PAUSED,
        "hooks.resume": MetaType.RESUMED,
        "hooks.disable": MetaType.DISABLED,
        "hooks.enable": MetaType.ENABLED,
    }
)
_SWITCHES: Mapping[tuple[str, bool], MetaType] = MappingProxyType(
    {
        ("paused", True): MetaType.PAUSED,
        ("paused", False): MetaType.RESUMED,
        ("enabled", False): MetaType.DISABLED,
        ("enabled", True): MetaType.ENABLED,
    }
)


def switched_by(action: str, detail: Mapping[str, Any]) -> list[MetaType]:
    """What an entry of the audit log says of a hook: it was switched, or changed, and so perhaps switched too."""
    if action in _ACTIONS:
        return [_ACTIONS[action]]
    if action not in {"hooks.replace", "hooks.patch"}:
        return []
    return [kind for (name, value), kind in _SWITCHES.items() if detail.get(name) is value]


def of_hook(hook: Hook, kind: MetaType, message: str, reason: str = "", **further: Any) -> Facts:
    """The data of an event about a hook; `message` says it to people."""
    return {
        "hook": hook.id,
        "name": hook.name,
        "target": hook.target.type,
        "message": f"Hook {hook.name} {message}" + (f": {reason}" if reason else "."),
        "reason": reason,
        "type": kind.value,
        **further,
    }


def state_changed(hook: Hook, kind: MetaType, by: str, at: float, reason: str = "") -> Facts:
    """Somebody paused, resumed, disabled or enabled it; `by` is the name of a token, or `bridge`."""
    return of_hook(hook, kind, _SAID[kind].format(by=by), reason, since=utc_seconds(at), by=by)


def failing(hook: Hook, standing: Standing, percent: int, since: float, threshold: float) -> Facts:
    """It has only failed for so many per cent of the time after which it is paused."""
    return of_hook(
        hook,
        MetaType.FAILING,
        f"has only failed since {utc_seconds(since)}, for {percent} % of the time after which it is paused",
        since=utc_seconds(since),
        consecutive_failures=standing.failed_attempts,
        threshold_percent=percent,
        pauses_at=utc_seconds(since + threshold),
        last_success_at=_moment(standing.last_success_at),
    )


def recovered(hook: Hook, standing: Standing) -> Facts:
    """It succeeded again after it had been told to fail."""
    return of_hook(
        hook,
        MetaType.RECOVERED,
        "delivers again",
        since=_moment(standing.last_success_at),
        failing_since=_moment(standing.warned_since),
        threshold_percent=standing.warned,
        consecutive_failures=standing.failed_attempts,
    )


def breaker_opened(hook: Hook, fault: str, probe_in: float, at: float) -> Facts:
    """Its endpoint is left alone but for probes."""
    return of_hook(
        hook,
        MetaType.BREAKER_OPEN,
        "is down: what comes waits in its lane",
        fault,
        since=utc_seconds(at),
        probe_in_seconds=round(probe_in, 1),
    )


def breaker_closed(hook: Hook, open_for: float, at: float) -> Facts:
    """Its endpoint answers again."""
    return of_hook(
        hook,
        MetaType.BREAKER_CLOSED,
        "is back",
        since=utc_seconds(at),
        open_for_seconds=round(open_for, 1),
    )


def quarantine_growing(source: str, messages: int, since: float) -> Facts:
    """Messages of a source could not be handled."""
    return {
        "source": source,
        "messages": messages,
        "message": f"{messages} of the messages from {source} could not be handled and are in quarantine.",
        "since": utc_seconds(since),
        "type": MetaType.QUARANTINE_GROWING.value,
    }


def _moment(at: float | None) -> str | None:
    return None if at is None else utc_seconds(at)


# Telling those who listen to the bridge's own events, and what was told already.


class Herald(Protocol):
    """Publishes meta events to the hooks that listen to them (source `bridge`)."""

    def tell(self, kind: MetaType, about: Hook, facts: Facts, *, by_person: bool) -> None:
        """Publish it soon, where anybody listens; never raises and never waits.

        What nobody did, but came of deliveries, is not told of hooks that listen to meta events themselves: it may
        have come of those.
        """
        ...


class Standings(Protocol):
    """How hooks fare and what was told of it, for all replicas. All raise HistoryUnavailable."""

    async def standings(self) -> Sequence[Standing]:
        """Of all hooks that fail now, or that were told to fail."""
        ...

    async def told(self, before: Standing, level: int, since: float | None) -> bool:
        """Remember the level told of a time since then (0: none); False where it has changed since `before`."""
        ...

    async def quarantined(self, since: float) -> Mapping[str, int]:
        """How many messages went into quarantine since that Unix time, by source; sources with none are absent."""
        ...
