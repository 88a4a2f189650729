"""Meta events: their types and data, which contain no secrets, and the ports that publish them."""

from collections.abc import Hashable, Mapping
from enum import StrEnum
from typing import Any
from urllib.parse import quote, urlencode

from bridge.core.base import value
from bridge.core.hook import Hook
from bridge.core.records import FEWEST
from bridge.formats.text import utc_seconds

# Rate limiting of meta events: a hook that changes constantly must not flood the subscribers.


AT_ONCE = 10
"""Maximum burst of events with the same key."""
REFILL = 60.0
"""Seconds after which one more event is allowed."""
_MOST = 10_000


class RateLimiter:
    """A token bucket for each key, with `AT_ONCE` tokens and one new token every `REFILL` seconds."""

    def __init__(self) -> None:
        self._left: dict[Hashable, tuple[float, float, int]] = {}

    def take(self, key: Hashable, now: float) -> int | None:
        """Returns how many of this key were suppressed since the last one; None: suppress this one too."""
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
        self._left = {
            key: state
            for key, state in self._left.items()
            if state[0] + (now - state[1]) / REFILL < AT_ONCE or state[2]
        }


# Warnings about hooks that only fail.


LEVELS = (50, 70, 90, 100)
"""Percentages of the pause threshold at which a warning is published."""


@value(frozen=True, slots=True)
class FailureRecord:
    """The recent results of a hook, and its last warning. Times are in Unix seconds; None: never.

    `failed_attempts` counts since the last success, `failing_since` is the first of them. `warned` is the highest
    published level of LEVELS (0: none), for a failing period that began at `warned_since`. `attended_at`: the last
    manual resume or change of the hook, if recorded.
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
class DueWarnings:
    """The warnings to publish: a recovery, or the `levels` reached by the failing period since `since`."""

    recovered: bool = False
    levels: tuple[int, ...] = ()
    since: float = 0.0


def words_for(record: FailureRecord, threshold: float) -> DueWarnings:
    """Returns the warnings to publish for a hook that is paused after `threshold` seconds of only failures; 0: never.

    A manual change restarts the period. The period ends with the last failure: a hook without events may have
    recovered.
    """
    if record.warned and _later(record.last_success_at, record.warned_since):
        return DueWarnings(recovered=True)
    failing_since, last = record.failing_since, record.last_failure_at
    if failing_since is None or last is None or threshold <= 0 or record.failed_attempts < FEWEST:
        return DueWarnings()
    since = max(failing_since, record.attended_at)
    told = record.warned if record.warned_since == since else 0
    percent = 100 * (last - since) / threshold
    return DueWarnings(levels=tuple(level for level in LEVELS if told < level <= percent), since=since)


def _later(moment: float | None, than: float | None) -> bool:
    return moment is not None and (than is None or moment > than)


class MetaType(StrEnum):
    """The types of meta events, which hooks' patterns are matched with."""

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

_SWITCHES = {
    MetaType.PAUSED: ("hooks.pause", "paused", True),
    MetaType.RESUMED: ("hooks.resume", "paused", False),
    MetaType.DISABLED: ("hooks.disable", "enabled", False),
    MetaType.ENABLED: ("hooks.enable", "enabled", True),
}
"""By event: the action in the audit log, and the member of a changed hook with its value."""


def switched_by(action: str, detail: Mapping[str, Any]) -> list[MetaType]:
    """Returns the state changes of a hook in an audit log entry: a switch, or a change, which may include a switch."""
    if action in {"hooks.replace", "hooks.patch"}:
        return [kind for kind, (_, member, value) in _SWITCHES.items() if detail.get(member) is value]
    return [kind for kind, (switch, _, _) in _SWITCHES.items() if action == switch]


def of_hook(hook: Hook, kind: MetaType, message: str, reason: str = "", **further: Any) -> Facts:
    """Returns the data of an event about a hook; `message` is for people."""
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
    """Returns the data of a pause, resume, disable or enable; `by` is the name of a token, or `bridge`."""
    what = kind.removeprefix("hook.")
    return of_hook(hook, kind, f"was {what} by {by}", reason, since=utc_seconds(at), by=by)


def failing(hook: Hook, record: FailureRecord, percent: int, since: float, threshold: float) -> Facts:
    """Returns the data of a warning: the hook has only failed for this percentage of the pause threshold."""
    return of_hook(
        hook,
        MetaType.FAILING,
        f"has only failed since {utc_seconds(since)}, for {percent} % of the time after which it is paused",
        since=utc_seconds(since),
        consecutive_failures=record.failed_attempts,
        threshold_percent=percent,
        pauses_at=utc_seconds(since + threshold),
        last_success_at=_moment(record.last_success_at),
    )


def recovered(hook: Hook, record: FailureRecord) -> Facts:
    """Returns the data of a recovery: the hook succeeded after a warning."""
    return of_hook(
        hook,
        MetaType.RECOVERED,
        "delivers again",
        since=_moment(record.last_success_at),
        failing_since=_moment(record.warned_since),
        threshold_percent=record.warned,
        consecutive_failures=record.failed_attempts,
    )


def breaker_opened(hook: Hook, fault: str, probe_in: float, at: float) -> Facts:
    """Returns the data of an opened circuit breaker: attempts stop, except probes."""
    return of_hook(
        hook,
        MetaType.BREAKER_OPEN,
        "is down: what comes waits in its lane",
        fault,
        since=utc_seconds(at),
        probe_in_seconds=round(probe_in, 1),
    )


def breaker_closed(hook: Hook, open_for: float, at: float) -> Facts:
    """Returns the data of a closed circuit breaker: the endpoint responds again."""
    return of_hook(
        hook,
        MetaType.BREAKER_CLOSED,
        "is back",
        since=utc_seconds(at),
        open_for_seconds=round(open_for, 1),
    )


def quarantine_growing(source: str, messages: int, since: float) -> Facts:
    """Returns the data of a growing quarantine of a source."""
    return {
        "source": source,
        "messages": messages,
        "message": f"{messages} of the messages from {source} could not be handled and are in quarantine.",
        "since": utc_seconds(since),
        "type": MetaType.QUARANTINE_GROWING.value,
    }


def page_of(facts: Facts, pages: str) -> str:
    """Returns the address of the page about the hook or the quarantine of these facts; empty if `pages` is."""
    if not pages:
        return ""
    if "hook" in facts:
        return f"{pages}/hooks/{quote(facts['hook'], safe='')}"
    return f"{pages}/quarantine?{urlencode({'source': facts['source']})}"


def _moment(at: float | None) -> str | None:
    return None if at is None else utc_seconds(at)
