"""The documents of hooks: their configuration without secrets, and their state."""

import time
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, Literal, Self

from bridge.checks.configuration import secret_ends_of
from bridge.core.base import value
from bridge.core.hook import Hook, StoredHook
from bridge.core.ports import HookState
from bridge.core.statistics import HookHealth
from bridge.core.target import WebhookTarget
from bridge.deliveries.documents import AddressDocument
from bridge.formats.text import utc_seconds
from bridge.hooks.service import InForce
from bridge.http.documents import ClosedDocument, UtcMoment, moment_or_none
from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.hook_worker import HookWorker
from bridge.retry.breaker import Closed, HalfOpen
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


def _held_until(runner: HookWorker) -> str | None:
    remaining = runner.held_until - time.monotonic()
    return utc_seconds(time.time() + remaining) if remaining > 0 else None


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
    """What a person said of a hook from the file, through the API; null: as the file has it."""

    enabled: bool | None
    """Enabled or disabled."""
    paused: bool | None
    """Paused or resumed."""
    reason: str | None
    """Why, as given."""
    at: UtcMoment
    """When it was last said."""

    @classmethod
    def of(cls, said: HookState) -> Self:
        """Returns the document of an overlay."""
        return cls.unchecked(
            enabled=said.said_enabled,
            paused=said.said_paused,
            reason=said.reason or None,
            at=utc_seconds(said.at),
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
        return cls.unchecked(since=utc_seconds(health.failing_since), failed_attempts=health.failed_attempts)


class SecretDocument(ClosedDocument):
    """A live secret of a hook, without what it is."""

    until: UtcMoment | None
    """When it ends; null: it stays."""


class SigningDocument(ClosedDocument):
    """Whether a webhook signs, and with what."""

    signs: bool
    """Whether requests carry a signature, or of profile cockpit the credentials."""
    secrets: list[SecretDocument]
    """Those that are live, the newest first."""
    warning: str | None
    """What is wrong with that: a profile that signs has no secret to sign with, or a secret, a header or a credential has a
    blank or a line break at an end."""

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
            secrets=[SecretDocument.unchecked(until=moment_or_none(until)) for until in live],
            warning="; ".join(_warnings(hook, target)) or None,
        )


class HookStateDocument(ClosedDocument):
    """What goes for a hook now, beside its configuration; as this process sees it."""

    paused: bool
    """By configuration, by what was said since, or by the bridge itself."""
    reason: str | None
    """Why it is paused; null where nobody told."""
    breaker: Literal["closed", "open", "half_open"]
    """open: the endpoint is down and looked at now and then; half_open: a probe is under way."""
    held_until: UtcMoment | None
    """The receiver asked to be left alone until then (Retry-After)."""
    lane_depth: int
    """Messages that wait in its lane."""
    in_flight: int
    """Attempts under way in this process."""
    served: bool
    """Whether this process serves targets of its kind."""
    broken: str | None
    """Why it cannot be served as it is written; null: it can. What it asks for waits in its lane until it is mended; one of
    the file that was sound before stays in force as it was."""
    failing: FailingDocument | None
    """It only fails: three attempts at the least since the last success; null: it does not. Some seconds old."""
    last_success_at: UtcMoment | None
    """When an attempt last succeeded; null: never, as far as is known. Some seconds old."""
    overlay: OverlayDocument | None
    """What was said of a hook from the file; null: nothing."""
    deleting: Literal["drain", "drop"] | None
    """drain: deleted, what waits is still delivered; drop: deleted, what waits becomes FAILED; null: not deleted."""

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
            last_success_at=None if seen.health is None else moment_or_none(seen.health.last_success_at),
            overlay=None
            if seen.stored is not None or said is None or not said.overlaid
            else OverlayDocument.of(said),
            deleting=deleting if deleting in {"drain", "drop"} else None,
        )


class HookDocument(ClosedDocument):
    """A hook as it is written, without its secrets, and how it is doing."""

    id: str
    """Its id, which never changes."""
    name: str
    """Its name, unique."""
    description: str
    """For people: what it is for."""
    sources: list[str] | None
    """Names of the sources it listens to; null: every source."""
    events: list[str]
    """AMQP topic patterns on the event type."""
    filter: str | None
    """A CEL expression over `event` that must be true."""
    unmatched: bool
    """true: it gets only what no other hook asks for."""
    enabled: bool
    """false: matching events are recorded SKIPPED. With what was said of a hook from the file."""
    paused: bool
    """true: matching events wait. With what was said of a hook from the file; the bridge's own pause stands in `state`
    alone."""
    concurrency: int
    """Attempts at once, per process."""
    rate: float | None
    """Attempts per second, per process."""
    retry: dict[str, Any]
    """When failed attempts are tried again."""
    target: dict[str, Any]
    """Where its deliveries go. Secrets, values of `auth` and `urls` of a notify target are left out."""
    managed_by: Literal["api", "file"]
    """file: read-only here."""
    created_at: UtcMoment | None
    """When it was made; null for a hook from the file."""
    updated_at: UtcMoment | None
    """When it was last changed; null for a hook from the file."""
    signing: SigningDocument | None
    """Whether it signs, and with how many secrets; null: it is no webhook."""
    state: HookStateDocument
    """How it is doing."""

    @classmethod
    def of(cls, seen: SeenHook) -> Self:
        """Returns the hook with its present state."""
        hook, stored = seen.hook, seen.stored
        return cls.unchecked(
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
            signing=SigningDocument.of(hook, {} if stored is None else dict(stored.ends)),
            state=HookStateDocument.of(seen),
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
