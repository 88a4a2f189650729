"""What the bridge tells of itself: the data of each meta event, none of which holds a secret."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from bridge.model.hook import Hook
from bridge.rules.formats.text import utc_seconds
from bridge.rules.meta.standing import Standing


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
