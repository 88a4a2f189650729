"""Hooks as documents: what is configured without its secrets, and how they are doing."""

import time
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Literal

from bridge.checks.secret_ends import secret_ends_of
from bridge.core.base import value
from bridge.core.hook import Hook
from bridge.core.ports import HookState
from bridge.core.statistics import HookHealth
from bridge.core.stored_hooks import StoredHook
from bridge.core.target import WebhookTarget
from bridge.deliveries.documents import AddressDocument
from bridge.formats.text import utc_seconds
from bridge.hooks.documents import (
    FailingDocument,
    HookDocument,
    HookStateDocument,
    OverlayDocument,
    SecretDocument,
    SigningDocument,
)
from bridge.hooks.service import InForce
from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.hook_worker import HookWorker
from bridge.retry.breaker import Closed, HalfOpen
from bridge.settings.shown import address_of, shown
from bridge.signing.profiles import unsigned


@value(frozen=True, slots=True)
class SeenHook:
    """A hook as this process sees it: `stored` where it is of the API, `runner` where it is in force here."""

    hook: Hook
    runner: HookWorker | None
    stored: StoredHook | None
    said: HookState | None
    broken: str | None = None
    health: HookHealth | None = None

    @property
    def paused(self) -> bool:
        """By configuration, by what was said since, or by the bridge itself."""
        own_pause = self.said is not None and self.said.paused
        return self.hook.paused or own_pause or (self.runner is not None and self.runner.paused)

    @property
    def etag(self) -> str:
        """What changes with its configuration (RFC 9110, 8.8.3)."""
        if self.stored is not None:
            return f'"{self.stored.version}"'
        return f'W/"file-{sha256(repr(self.hook).encode()).hexdigest()[:16]}"'


def seen_hooks(in_force: InForce) -> list[SeenHook]:
    """All hooks by their names, those being deleted included."""
    found = [_written(in_force, hook) for hook in in_force.written.values()]
    found += [_stored(in_force, stored) for stored in in_force.stored.values()]
    return sorted(found, key=lambda seen: (seen.hook.name, seen.hook.id))


def seen_hook(in_force: InForce, which: str) -> SeenHook | None:
    """The hook with this id, else the one with this name."""
    if (hook := in_force.written.get(which)) is not None:
        return _written(in_force, hook)
    known = in_force.stored
    stored = known.get(which) or next((each for each in known.values() if each.hook.name == which), None)
    return None if stored is None else _stored(in_force, stored)


def _written(in_force: InForce, hook: Hook) -> SeenHook:
    said = in_force.states.get(hook.id)
    return _seen(in_force, said.over(hook) if said else hook, None)


def _stored(in_force: InForce, stored: StoredHook) -> SeenHook:
    return _seen(in_force, stored.hook, stored)


def _seen(in_force: InForce, hook: Hook, stored: StoredHook | None) -> SeenHook:
    one = hook.id
    return SeenHook(
        hook,
        in_force.table.get(one),
        stored,
        in_force.states.get(one),
        in_force.broken.get(one),
        in_force.health.get(one),
    )


def hook_document(seen: SeenHook) -> HookDocument:
    """A hook and its state now."""
    hook, stored = seen.hook, seen.stored
    return HookDocument.model_construct(
        id=hook.id,
        name=hook.name,
        description=hook.description,
        sources=hook.sources,
        events=hook.events,
        filter=hook.filter,
        unmatched=hook.unmatched,
        enabled=hook.enabled,
        paused=hook.paused,
        concurrency=hook.concurrency,
        rate=hook.rate,
        retry=hook.retry.model_dump(),
        target=_target(hook),
        managed_by="file" if stored is None else "api",
        created_at=None if stored is None else utc_seconds(stored.created_at),
        updated_at=None if stored is None else utc_seconds(stored.updated_at),
        signing=_signing(hook, {} if stored is None else dict(stored.ends), time.time()),
        state=_state(seen),
    )


def _target(hook: Hook) -> dict[str, Any]:
    """Where it delivers; its type alone where nothing else of it can be read."""
    unread = hook.fault is not None and "target" in hook.fault.unread
    return {"type": hook.target.type} if unread else shown(hook.target)


def _signing(hook: Hook, ends: Mapping[str, float], now: float) -> SigningDocument | None:
    """`ends`: secrets that end, each with when."""
    target = hook.target
    if not isinstance(target, WebhookTarget):
        return None
    untils = [ends.get(secret.get_secret_value()) for secret in target.secrets]
    live = [until for until in untils if until is None or until > now]
    return SigningDocument.model_construct(
        signs=bool(live) and target.profile != "none",
        secrets=[
            SecretDocument.model_construct(until=None if until is None else utc_seconds(until))
            for until in live
        ],
        warning="; ".join(_warnings(hook, target)) or None,
    )


def _warnings(hook: Hook, target: WebhookTarget) -> Iterator[str]:
    if told := unsigned(target):
        yield told
    for found in secret_ends_of(hook):
        yield f"{found.path} {found.message}"


def _state(seen: SeenHook) -> HookStateDocument:
    runner, said, deleting = seen.runner, seen.said, seen.stored.deleting if seen.stored else ""
    reason = (runner.pause_reason if runner is not None else "") or (said.reason if said else "")
    return HookStateDocument.model_construct(
        paused=seen.paused,
        reason=(reason or None) if seen.paused else None,
        breaker="closed" if runner is None else breaker_word(runner),
        held_until=None if runner is None else _held_until(runner),
        lane_depth=0 if runner is None else runner.lane.depth,
        in_flight=0 if runner is None else len(runner.running),
        served=runner is not None and runner.target is not None,
        broken=seen.broken,
        failing=_failing(seen.health),
        last_success_at=None
        if seen.health is None or seen.health.last_success_at is None
        else utc_seconds(seen.health.last_success_at),
        overlay=_overlay(said) if seen.stored is None and said is not None and said.overlaid else None,
        deleting=deleting if deleting in {"drain", "drop"} else None,
    )


def _failing(health: HookHealth | None) -> FailingDocument | None:
    if health is None or health.failing_since is None or not health.only_fails:
        return None
    return FailingDocument.model_construct(
        since=utc_seconds(health.failing_since), failed_attempts=health.failed_attempts
    )


def _overlay(said: HookState) -> OverlayDocument:
    return OverlayDocument.model_construct(
        enabled=said.said_enabled,
        paused=said.said_paused,
        reason=said.reason or None,
        at=utc_seconds(said.at),
    )


def breaker_word(runner: HookWorker) -> Literal["closed", "open", "half_open"]:
    """The state of its breaker."""
    match runner.breaker.state:
        case Closed():
            return "closed"
        case HalfOpen():
            return "half_open"
        case _:
            return "open"


def _held_until(runner: HookWorker) -> str | None:
    remaining = runner.held_until - time.monotonic()
    return utc_seconds(time.time() + remaining) if remaining > 0 else None


# Where a hook delivers, in one line and without what is secret.


class Addresses:
    """Of the hooks in force."""

    def __init__(self, table: HookTable) -> None:
        self._table = table

    def hook_id(self, which: str | None) -> str | None:
        """The id of the hook that an id or a name means; what is given where there is no such hook any more."""
        return None if which is None else self._table.id_of(which)

    def of(self, hook: str) -> AddressDocument | None:
        """Where this hook delivers today; None where there is no such hook."""
        runner = self._table.get(hook)
        if runner is None:
            return None
        target = runner.hook.target
        return AddressDocument.model_construct(type=target.type, to=address_of(target))
