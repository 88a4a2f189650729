"""Secrets of hooks are rotated: the new one signs first, the former ones beside it for a while."""

import base64
import secrets
from collections.abc import Callable

from pydantic import SecretStr

from bridge.admin.hooks import InForce, NoSecrets
from bridge.admin.hooks_change import HookChanges
from bridge.model.errors import Problem, SettingsError
from bridge.model.hook import Hook
from bridge.model.target import WebhookTarget
from bridge.model.value import value
from bridge.ports.hooks import Ends, HookStore, StoredHook
from bridge.targets.web.checks import webhook_checks

_MOST = 10
_BYTES = 32


@value(frozen=True, slots=True)
class Rotated:
    """A hook with its new secret. `expires_at`, in Unix seconds: until when former ones sign; None: there are none."""

    stored: StoredHook
    secret: str
    expires_at: float | None


class RotateSecrets:
    """The new secret is given once and never shown again."""

    def __init__(self, store: HookStore, in_force: InForce, now: Callable[[], float]) -> None:
        """`now` gives Unix seconds."""
        self._changes = HookChanges(store, in_force, now)
        self._now = now

    async def rotate(
        self, which: str, secret: str | None, *, keep: float, match: int | None = None
    ) -> Rotated:
        """Sign with `secret` (None: one is made) first, and for `keep` seconds with the former ones too.

        Raises NoSecrets where that cannot be, SettingsError for a secret that does not fit the profile, and as
        HookChanges.change.
        """
        until = self._now() + keep
        chosen: list[str] = []

        async def make(stored: StoredHook) -> tuple[Hook, Ends]:
            target = _signing(stored.hook)
            former = _former(stored, self._now()) if keep > 0 else []
            chosen[:] = [_made(target) if secret is None else secret]
            _check_new(chosen[0], former)
            known = dict(stored.ends)
            ends = tuple((each, min(known.get(each, until), until)) for each in former)
            return _with(stored.hook, target, [chosen[0], *former]), ends

        stored = await self._changes.change(which, make, match=match)
        return Rotated(stored, chosen[0], max((end for _, end in stored.ends), default=None))


def _signing(hook: Hook) -> WebhookTarget:
    if not isinstance(hook.target, WebhookTarget):
        raise NoSecrets(f"a {hook.target.type} target signs nothing")
    if hook.target.profile == "none":
        raise NoSecrets("profile none signs nothing")
    return hook.target


def _former(stored: StoredHook, now: float) -> list[str]:
    """Those that sign now."""
    live = stored.live(now).target
    return [secret.get_secret_value() for secret in live.secrets] if isinstance(live, WebhookTarget) else []


def _made(target: WebhookTarget) -> str:
    """A new one as the profile has it."""
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
    if secret in former:
        raise SettingsError([Problem("secret", "is live already: a rotation needs another one")])
    if len(former) >= _MOST:
        raise NoSecrets(f"{_MOST} secrets are live already; with `keep` 0 they end at once")


def _with(hook: Hook, target: WebhookTarget, live: list[str]) -> Hook:
    """The hook with these secrets; raises SettingsError where the first does not fit its profile."""
    changed = target.model_copy(update={"secrets": [SecretStr(secret) for secret in live]})
    for path, check in webhook_checks(changed):
        if path == "target.secrets":
            try:
                check()
            except ValueError as error:
                raise SettingsError([Problem("secret", str(error))]) from None
    return hook.model_copy(update={"target": changed})
