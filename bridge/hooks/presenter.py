"""The documents of hooks: their configuration without secrets, and their state."""

import time
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Literal, Self

from bridge.checks.configuration import secret_ends_of
from bridge.core.base import value
from bridge.core.hook import Hook, StoredHook
from bridge.core.ports import HookState
from bridge.core.records import HookHealth
from bridge.core.target import WebhookTarget
from bridge.deliveries.documents import AddressDocument
from bridge.hooks.service import InForce
from bridge.http.documents import ClosedDocument, UtcMoment
from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.hook_worker import HookWorker
from bridge.retry.policy import Closed, HalfOpen
from bridge.settings.shown import address_of, shown
from bridge.signing.profiles import unsigned


@value(frozen=True, slots=True)
class SeenHook:
    """A hook as this process sees it: `stored` if it was made through the API, `runner` if it is in force here."""

    hook: Hook
    runner: HookWorker | None
    stored: StoredHook | None
    said: HookState | None
    broken: str | None = None
    health: HookHealth | None = None

    @property
    def paused(self) -> bool:
        """Returns whether the hook is paused, by its configuration, at run time, or by the bridge itself."""
        own_pause = self.said is not None and self.said.paused
        return self.hook.paused or own_pause or (self.runner is not None and self.runner.paused)

    @property
    def etag(self) -> str:
        """Returns the entity tag, which changes with the configuration (RFC 9110, 8.8.3)."""
        if self.stored is not None:
            return f'"{self.stored.version}"'
        return f'W/"file-{sha256(repr(self.hook).encode()).hexdigest()[:16]}"'


def seen_hooks(in_force: InForce) -> list[SeenHook]:
    """Returns all hooks by their names, including those being deleted."""
    found = [_written(in_force, hook) for hook in in_force.written.values()]
    found += [_stored(in_force, stored) for stored in in_force.stored.values()]
    return sorted(found, key=lambda seen: (seen.hook.name, seen.hook.id))


def seen_hook(in_force: InForce, which: str) -> SeenHook | None:
    """Returns the hook with this id, else the one with this name."""
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


def breaker_word(runner: HookWorker) -> Literal["closed", "open", "half_open"]:
    """Returns the state of the hook's breaker."""
    match runner.breaker.state:
        case Closed():
            return "closed"
        case HalfOpen():
            return "half_open"
        case _:
            return "open"


def _held_until(runner: HookWorker) -> float | None:
    remaining = runner.held_until - time.monotonic()
    return time.time() + remaining if remaining > 0 else None


def _target(hook: Hook) -> dict[str, Any]:
    """Returns where the hook delivers; only the target's type if nothing else is readable."""
    unread = hook.fault is not None and "target" in hook.fault.unread
    return {"type": hook.target.type} if unread else shown(hook.target)


def _warnings(hook: Hook, target: WebhookTarget) -> Iterator[str]:
    if told := unsigned(target):
        yield told
    for found in secret_ends_of(hook):
        yield f"{found.path} {found.message}"


class OverlayDocument(ClosedDocument):
    """The overlay of a hook of the file, set through the API; null: as in the file."""

    enabled: bool | None
    """Whether it is enabled."""
    paused: bool | None
    """Whether it is paused."""
    reason: str | None
    """Reason, as given."""
    at: UtcMoment
    """When it was last set."""

    @classmethod
    def of(cls, said: HookState) -> Self:
        """Returns the document of an overlay."""
        return cls.unchecked(
            enabled=said.said_enabled,
            paused=said.said_paused,
            reason=said.reason or None,
            at=said.at,
        )


class FailingDocument(ClosedDocument):
    """A hook whose attempts have only failed since its last success."""

    since: UtcMoment
    """The first failed attempt since the last success."""
    failed_attempts: int
    """The number of failed attempts since then."""

    @classmethod
    def of(cls, health: HookHealth | None) -> Self | None:
        """Returns the document, None if the hook does not only fail."""
        if health is None or health.failing_since is None or not health.only_fails:
            return None
        return cls.unchecked(since=health.failing_since, failed_attempts=health.failed_attempts)


class SecretDocument(ClosedDocument):
    """An active secret of a hook, without its value."""

    until: UtcMoment | None
    """When it expires; null: it does not."""


class SigningDocument(ClosedDocument):
    """How a webhook signs."""

    signs: bool
    """Whether requests have a signature, or with profile cockpit the credentials."""
    secrets: list[SecretDocument]
    """Active secrets, newest first."""
    warning: str | None
    """Problem of the configuration: a profile that signs has no secret, or a secret, a header or a credential has a blank or a
    line break at an end.
    """

    @classmethod
    def of(cls, hook: Hook, ends: Mapping[str, float]) -> Self | None:
        """Returns how a hook signs; `ends` maps expiring secrets to their end. None if the target is not a webhook."""
        target, now = hook.target, time.time()
        if not isinstance(target, WebhookTarget):
            return None
        untils = [ends.get(secret.get_secret_value()) for secret in target.secrets]
        live = [until for until in untils if until is None or until > now]
        return cls.unchecked(
            signs=bool(live) and target.profile != "none",
            secrets=[SecretDocument.unchecked(until=until) for until in live],
            warning="; ".join(_warnings(hook, target)) or None,
        )


class HookStateDocument(ClosedDocument):
    """The present state of a hook in this process."""

    paused: bool
    """Whether it is paused, by its configuration, at run time, or by the bridge itself."""
    reason: str | None
    """Reason of the pause; null if none was given."""
    breaker: Literal["closed", "open", "half_open"]
    """open: attempts are suspended because the endpoint does not respond; half_open: a probe is in progress."""
    held_until: UtcMoment | None
    """Until when the receiver asked for no requests (Retry-After)."""
    lane_depth: int
    """Messages waiting in its lane."""
    in_flight: int
    """Attempts in progress in this process."""
    served: bool
    """Whether this process serves targets of its type."""
    broken: str | None
    """Why it cannot be served as configured; null: it can. Its events wait in its lane until it is repaired; a hook of the file
    that was valid before stays in force as it was.
    """
    failing: FailingDocument | None
    """Present if its attempts only fail: at least three since the last success; else null. Updated every few seconds."""
    last_success_at: UtcMoment | None
    """When an attempt last succeeded; null: never, as far as known. Updated every few seconds."""
    overlay: OverlayDocument | None
    """Overlay of a hook of the file; null: none."""
    deleting: Literal["drain", "drop"] | None
    """drain: deleted, waiting deliveries are still made; drop: deleted, waiting deliveries become FAILED; null: not deleted."""

    @classmethod
    def of(cls, seen: SeenHook) -> Self:
        """Returns the state of the hook."""
        runner, said, deleting = seen.runner, seen.said, seen.stored.deleting if seen.stored else ""
        reason = (runner.pause_reason if runner is not None else "") or (said.reason if said else "")
        return cls.unchecked(
            paused=seen.paused,
            reason=(reason or None) if seen.paused else None,
            breaker="closed" if runner is None else breaker_word(runner),
            held_until=None if runner is None else _held_until(runner),
            lane_depth=0 if runner is None else runner.lane.depth,
            in_flight=0 if runner is None else runner.in_flight,
            served=runner is not None and runner.target is not None,
            broken=seen.broken,
            failing=FailingDocument.of(seen.health),
            last_success_at=None if seen.health is None else seen.health.last_success_at,
            overlay=None
            if seen.stored is not None or said is None or not said.overlaid
            else OverlayDocument.of(said),
            deleting=deleting if deleting in {"drain", "drop"} else None,
        )


class HookDocument(ClosedDocument):
    """A hook with its configuration, without secrets, and its state."""

    id: str
    """Id, which never changes."""
    name: str
    """Name, unique."""
    description: str
    """Description for people."""
    sources: list[str] | None
    """Names of the sources it listens to; null: every source."""
    events: list[str]
    """AMQP topic patterns on the event type."""
    filter: str | None
    """A CEL expression over `event` that must be true."""
    unmatched: bool
    """true: it gets only events that no other hook asks for."""
    enabled: bool
    """false: matching events are recorded SKIPPED. Includes the overlay of a hook of the file."""
    paused: bool
    """true: matching events wait. Includes the overlay of a hook of the file; a pause by the bridge is in `state` only."""
    concurrency: int
    """Maximum concurrent attempts, per process."""
    rate: float | None
    """Maximum attempts per second, per process."""
    retry: dict[str, Any]
    """Retry policy."""
    target: dict[str, Any]
    """Target of its deliveries. Secrets, values of `auth` and `urls` of a notify target are omitted."""
    managed_by: Literal["api", "file"]
    """file: read-only here."""
    created_at: UtcMoment | None
    """When it was created; null for a hook of the file."""
    updated_at: UtcMoment | None
    """When it was last changed; null for a hook of the file."""
    signing: SigningDocument | None
    """How it signs; null if it is not a webhook."""
    state: HookStateDocument
    """Present state."""

    @classmethod
    def of(cls, seen: SeenHook, **more: Any) -> Self:
        """Returns the hook with its present state; `more` are further members."""
        hook, stored = seen.hook, seen.stored
        return cls.unchecked(
            hook,
            retry=hook.retry.model_dump(),
            target=_target(hook),
            managed_by="file" if stored is None else "api",
            created_at=stored and stored.created_at,
            updated_at=stored and stored.updated_at,
            signing=SigningDocument.of(hook, {} if stored is None else dict(stored.ends)),
            state=HookStateDocument.of(seen),
            **more,
        )


# The address of a hook in one line, without secrets.


class Addresses:
    """The addresses of the hooks in force."""

    def __init__(self, table: HookTable) -> None:
        self._table = table

    def hook_id(self, which: str | None) -> str | None:
        """Returns the id of the hook with this id or name; `which` itself if the hook does not exist any more."""
        return None if which is None else self._table.id_of(which)

    def of(self, hook: str) -> AddressDocument | None:
        """Returns the present address of this hook, None if it does not exist."""
        runner = self._table.get(hook)
        if runner is None:
            return None
        target = runner.hook.target
        return AddressDocument.unchecked(type=target.type, to=address_of(target))
