"""Hooks are enabled, disabled, paused and resumed: hooks of the API in the database, hooks of the file by an overlay."""

import base64
import secrets
from collections.abc import Callable
from dataclasses import replace

from pydantic import SecretStr

from bridge.core.base import value
from bridge.core.errors import Problem, SettingsError
from bridge.core.hook import Ends, Hook, StoredHook
from bridge.core.ports import HookState
from bridge.core.target import WebhookTarget
from bridge.formats.text import utc_seconds
from bridge.hooks.service import HookChanges, InForce, Make, NoSecrets
from bridge.hooks.store import SqlHooks
from bridge.hooks.validate import not_read, variable_in
from bridge.signing.profiles import ALL_SIGN, SOME_SIGN_ALL
from bridge.targets.webhook.address import webhook_checks


@value(frozen=True, slots=True)
class Switch:
    """The switches to be set; None: unchanged.

    Events that match a disabled hook from then on are SKIPPED, those of a paused one wait in its lane. Resuming lifts the
    bridge's own pause too.
    """

    enabled: bool | None = None
    paused: bool | None = None
    reason: str = ""

    def of(self, hook: Hook) -> Hook:
        said = {"enabled": self.enabled, "paused": self.paused}
        return hook.model_copy(update={name: what for name, what in said.items() if what is not None})


class SwitchHooks:
    """Switches hooks. That is idempotent, returns the hook's id, and raises as HookChanges.change does."""

    def __init__(self, store: SqlHooks, in_force: InForce, now: Callable[[], float]) -> None:
        """`now` returns Unix seconds."""
        self._changes = HookChanges(store, in_force, now)
        self._store = store
        self._in_force = in_force
        self._now = now

    async def switch(self, which: str, switch: Switch) -> str:
        written = self._in_force.written.get(which)
        if written is not None:
            await self._overlay(written, switch)
            return written.id
        stored = await self._changes.stored(which)
        self._changes.check_readable(stored)
        await self._remember(stored.hook.id, switch)
        if switch.of(stored.hook) != stored.hook:
            stored = await self._changes.change(stored.hook.id, _made_by(switch), drains=True)
        else:
            await self._in_force.changed()
        return stored.hook.id

    async def _overlay(self, written: Hook, switch: Switch) -> None:
        """Stores the overlay of a hook of the file; a switch equal to the file is removed, so that the file counts."""

        def overlaid(state: HookState) -> HookState:
            if switch.enabled is not None:
                state = replace(state, said_enabled=_unless(written.enabled, switch.enabled))
            if switch.paused is not None:
                state = replace(state, said_paused=_unless(written.paused, switch.paused))
            return self._told(state, switch)

        await self._store.say(written.id, overlaid)
        await self._in_force.changed()

    async def _remember(self, hook_id: str, switch: Switch) -> None:
        """Stores the reason of a pause of an API hook; the pause itself is in the hook."""
        if switch.paused is not None:
            await self._store.say(hook_id, lambda state: self._told(state, switch))

    def _told(self, state: HookState, switch: Switch) -> HookState:
        """Returns the state with the new reason; the bridge's own pause stays beside a person's until a resume."""
        if switch.paused is None:
            return replace(state, at=self._now())
        own = state.paused and switch.paused
        reason = state.reason if own and not switch.reason else switch.reason
        return replace(state, paused=own, reason=reason, at=self._now())


def _made_by(switch: Switch) -> Make:
    async def make(stored: StoredHook) -> tuple[Hook, Ends]:
        return switch.of(stored.hook), stored.ends

    return make


def _unless(written: bool, said: bool) -> bool | None:
    return None if written is said else said


# The rotation of secrets: the new and former ones sign together for a while, or one after the other. If a header holds one
# signature, a receiver with the former secret must find that signature until it has been given the new secret. So the former
# secret stays first there, and the new one replaces it when it expires.


_MOST = 10
_BYTES = 32


@value(frozen=True, slots=True)
class Rotated:
    """A hook with its new secret. In Unix seconds: `starts_at` is when the new secret begins to sign in every header,
    `expires_at` when former ones expire; None: there are none. `together`: all sign until then; `explanation` describes this.
    """

    stored: StoredHook
    secret: str
    starts_at: float
    expires_at: float | None
    together: bool
    explanation: str


class RotateSecrets:
    """Rotates the secrets of hooks. A new secret is returned once and never shown again."""

    def __init__(self, store: SqlHooks, in_force: InForce, now: Callable[[], float]) -> None:
        """`now` returns Unix seconds."""
        self._changes = HookChanges(store, in_force, now)
        self._now = now

    async def rotate(
        self, which: str, secret: str | None, *, keep: float, match: int | None = None
    ) -> Rotated:
        """Signs with `secret` (None: one is generated); for `keep` seconds the former secrets sign as well or, if the profile
        signs with one secret, instead.

        Raises NoSecrets if the hook has none to rotate, SettingsError for a secret that does not fit the profile, and the
        errors of HookChanges.change.
        """
        now = self._now()
        until = now + keep
        chosen: list[str] = []

        async def make(stored: StoredHook) -> tuple[Hook, Ends]:
            target = _signing(stored.hook)
            former = _former(stored, now) if keep > 0 else []
            chosen[:] = [_made(target) if secret is None else secret]
            _check_new(chosen[0], former)
            known = dict(stored.ends)
            ends = tuple((each, min(known.get(each, until), until)) for each in former)
            live = [chosen[0], *former] if target.profile in ALL_SIGN else [*former, chosen[0]]
            return _with(stored.hook, target, live), ends

        stored = await self._changes.change(which, make, match=match)
        return _rotated(stored, chosen[0], now)

    async def end_former(self, which: str, *, match: int | None = None) -> StoredHook:
        """Ends the former secrets now; raises NoSecrets if there are none, and the errors of HookChanges.change."""

        async def make(stored: StoredHook) -> tuple[Hook, Ends]:
            former = {secret for secret, _ in stored.ends}
            live = [each for each in _former(stored, self._now()) if each not in former]
            if not former or not live:
                raise NoSecrets("the hook has no former secrets that still sign")
            return _with(stored.hook, _signing(stored.hook), live), ()

        return await self._changes.change(which, make, match=match)


def _rotated(stored: StoredHook, secret: str, now: float) -> Rotated:
    profile = _signing(stored.hook).profile
    end = max((end for _, end in stored.ends), default=None)
    together = end is not None and profile in ALL_SIGN
    starts_at = now if end is None or together else end
    return Rotated(stored, secret, starts_at, end, together, _explained(profile, len(stored.ends), end))


def _explained(profile: str, former: int, end: float | None) -> str:
    if end is None:
        return "the new secret signs alone from now on"
    until = utc_seconds(end)
    if profile in ALL_SIGN:
        return f"the new secret and the former ones sign together until {until}, then the new one alone"
    if profile in SOME_SIGN_ALL:
        return (
            f"until {until} X-Phlix-Signature-V2 is signed with all, X-Phlix-Signature with the former secret alone; "
            "then both with the new one"
        )
    if former > 1:
        return (
            f"profile {profile} signs with one secret: the former ones one after the other, each until its end, "
            f"and from {until} on the new one"
        )
    return f"profile {profile} signs with one secret: the former one until {until}, then the new one"


def _signing(hook: Hook) -> WebhookTarget:
    if not isinstance(hook.target, WebhookTarget):
        raise NoSecrets(f"a {hook.target.type} target signs nothing")
    if hook.target.profile == "none":
        raise NoSecrets("profile none signs nothing")
    return hook.target


def _former(stored: StoredHook, now: float) -> list[str]:
    live = stored.live(now).target
    return [secret.get_secret_value() for secret in live.secrets] if isinstance(live, WebhookTarget) else []


def _made(target: WebhookTarget) -> str:
    if any(secret.get_secret_value().startswith("whsk_") for secret in target.secrets):
        raise NoSecrets("the hook signs with a key pair: give the new private key as `secret`")
    if target.profile == "cockpit":
        raise NoSecrets(
            "a secret of profile cockpit is user and password: give both as `secret`, user:password"
        )
    if target.profile == "standard":
        return "whsec_" + base64.b64encode(secrets.token_bytes(_BYTES)).decode()
    return ("whsec_" if target.profile == "stripe" else "") + secrets.token_hex(_BYTES)


def _check_new(secret: str, former: list[str]) -> None:
    if (variable := variable_in(secret)) is not None:
        raise SettingsError([Problem("secret", not_read(variable))])
    if secret in former:
        raise SettingsError([Problem("secret", "is live already: a rotation needs another one")])
    if len(former) >= _MOST:
        raise NoSecrets(f"{_MOST} secrets are live already; with `keep` 0 they end at once")


def _with(hook: Hook, target: WebhookTarget, live: list[str]) -> Hook:
    """Returns the hook with these secrets; raises SettingsError if the first one does not fit its profile."""
    changed = target.model_copy(update={"secrets": [SecretStr(secret) for secret in live]})
    for path, check in webhook_checks(changed):
        if path == "target.secrets":
            try:
                check()
            except ValueError as error:
                raise SettingsError([Problem("secret", str(error))]) from None
    return hook.model_copy(update={"target": changed})
