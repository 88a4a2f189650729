"""The hook operations of the API that show and restore versions, and tell of secrets."""

import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from bridge.core.access import Role
from bridge.core.hook import Hook
from bridge.core.target import WebhookTarget
from bridge.hooks.api import MatchQuery, ShownHooks
from bridge.hooks.presenter import HookDocument, SeenHook
from bridge.hooks.service import InForce, ManageHooks
from bridge.hooks.switch import RotateSecrets
from bridge.hooks.versions import HookVersion, SqlHookVersions, digests
from bridge.http.documents import ClosedDocument, NotFound, UtcMoment
from bridge.http.input import Query
from bridge.http.operation import Call, Operation, OperationGroup, Reply, reading

_LEAST_SHOWN = 20
"""Minimum characters of a secret whose last four are shown."""
_KEPT_AS_THEY_ARE = ("enabled", "paused")


class ChangeDocument(ClosedDocument):
    """One change of a hook."""

    path: str
    """Path of what changed, such as `target.url`; of secrets, `target.secrets`."""
    before: Any
    """Former value, without secrets."""
    after: Any
    """New value, without secrets."""


class VersionDocument(ClosedDocument):
    """A version of a hook."""

    version: Annotated[int, Field(ge=1)]
    """Number, as in the ETag."""
    at: UtcMoment
    """When it was made."""
    by: str
    """Name of the token that made it; `bridge`: the bridge itself."""
    changes: list[ChangeDocument]
    """Changes since the version before; empty for the first one that is known."""
    hook: dict[str, Any] | None
    """The whole version, without secrets; null if its key is not given any more."""

    @classmethod
    def of(cls, known: HookVersion, before: HookVersion | None) -> Self:
        """Returns the document of a version and the one before it."""
        changes = [
            ChangeDocument.unchecked(path=path, before=old, after=new)
            for path, old, new in known.changes(before)
        ]
        return cls.unchecked(known, changes=changes, hook=known.tree)


class VersionsDocument(ClosedDocument):
    """The versions of a hook."""

    items: list[VersionDocument]
    """The newest first, at most 50; none of a hook of the file."""

    @classmethod
    def of(cls, known: Sequence[HookVersion]) -> Self:
        """Returns the document of these versions, the newest first."""
        pairs = zip(known, [*known[1:], None], strict=True) if known else ()
        return cls.unchecked(items=[VersionDocument.of(*pair) for pair in pairs])


class RestoreBody(ClosedDocument):
    """The version to restore."""

    version: Annotated[int, Field(ge=1)]
    """Its number."""


class LiveSecretDocument(ClosedDocument):
    """A secret that signs or will sign, without its value."""

    kind: Literal["whsec", "whsk", "credentials", "text"]
    """whsec: of Standard Webhooks; whsk: a private key of it; credentials: user and password; text: any other."""
    last4: str | None
    """Its last four characters; null of a short one and of credentials."""
    made_at: UtcMoment | None
    """When it was given to the hook, as far as the versions tell."""
    until: UtcMoment | None
    """When it expires; null: it does not."""


class LiveSecretsDocument(ClosedDocument):
    """The secrets of a hook."""

    items: list[LiveSecretDocument]
    """In the order in which they sign."""


class HookVersionRoutes(OperationGroup):
    """The operations on versions and secrets."""

    def __init__(
        self, in_force: InForce, manage: ManageHooks, rotate: RotateSecrets, versions: SqlHookVersions
    ) -> None:
        self._hooks = ShownHooks(in_force)
        self.problems = self._hooks.problems
        self._manage = manage
        self._rotate = rotate
        self._versions = versions

    @reading(
        "hooks.history",
        "/v1/hooks/{id}/history",
        "List the versions of a hook with their changes, newest first",
    )
    async def _history(self, call: Call[Query, None]) -> VersionsDocument:
        return VersionsDocument.of(await self._versions.of(self._seen(call.which).hook.id))

    @Operation(
        name="hooks.restore",
        method="POST",
        path="/v1/hooks/{id}/restore",
        summary="Restore a version of a hook; present secrets are kept, and whether it is enabled and paused",
        role=Role.ADMIN,
        example={"version": 3},
        answers={200: HookDocument},
        answer_headers=("ETag",),
        refusals=frozenset({409, 412}),
    )
    async def _restore(self, call: Call[MatchQuery, RestoreBody]) -> Reply:
        seen, wanted = self._seen(call.which), call.body.version
        versions = await self._versions.of(seen.hook.id)
        tree = next((each.tree for each in versions if each.version == wanted), None)
        if tree is None:
            raise NotFound(f"version {wanted} of this hook is not kept")
        kept = {name: getattr(seen.hook, name) for name in _KEPT_AS_THEY_ARE}
        stored = await self._manage.replace(call.which, {**tree, **kept}, match=call.query.match)
        hook = stored.hook
        return self._hooks.shown(hook.id, id=hook.id, name=hook.name, restored=wanted, version=stored.version)

    @Operation(
        name="hooks.secrets",
        path="/v1/hooks/{id}/secrets",
        summary="List the secrets of a hook, without their values",
        role=Role.ADMIN,
        answers={200: LiveSecretsDocument},
    )
    async def _secrets(self, call: Call[Query, None]) -> LiveSecretsDocument:
        seen = self._seen(call.which)
        made = _made_at(await self._versions.of(seen.hook.id))
        return LiveSecretsDocument.unchecked(items=_live(seen, made))

    @Operation(
        name="hooks.end_secrets",
        method="POST",
        path="/v1/hooks/{id}/secrets/end",
        summary="End the former secrets of a hook now, before they expire",
        role=Role.ADMIN,
        answers={200: HookDocument},
        answer_headers=("ETag",),
        refusals=frozenset({409, 412}),
    )
    async def _end(self, call: Call[MatchQuery, None]) -> Reply:
        stored = await self._rotate.end_former(call.which, match=call.query.match)
        return self._hooks.shown(stored.hook.id, id=stored.hook.id, version=stored.version)

    def _seen(self, which: str) -> SeenHook:
        self._hooks.shown(which)  # raises NotFound with the nearest name
        seen = self._hooks.seen(which)
        assert seen is not None
        return seen


def _made_at(versions: Sequence[HookVersion]) -> dict[str, float]:
    """Returns when each secret came to the hook: with the first of the versions without a gap that have it."""
    found: dict[str, float] = {}
    gone: set[str] = set()
    for each in versions:
        gone |= found.keys() - set(each.secrets)
        found |= {digest: each.at for digest in each.secrets if digest not in gone}
    return found


def _live(seen: SeenHook, made: Mapping[str, float]) -> list[LiveSecretDocument]:
    hook, now = seen.hook, time.time()
    if not isinstance(hook.target, WebhookTarget):
        return []
    ends = {} if seen.stored is None else dict(seen.stored.ends)
    pairs = zip(hook.target.secrets, digests(hook), strict=True)
    return [
        _secret_of(hook, text, made.get(digest), until)
        for secret, digest in pairs
        if (until := ends.get(text := secret.get_secret_value())) is None or until > now
    ]


def _secret_of(hook: Hook, text: str, made_at: float | None, until: float | None) -> LiveSecretDocument:
    credentials = isinstance(hook.target, WebhookTarget) and hook.target.profile == "cockpit"
    prefix = text.partition("_")[0]
    return LiveSecretDocument.unchecked(
        kind="credentials" if credentials else prefix if prefix in {"whsec", "whsk"} else "text",
        last4=None if credentials or len(text) < _LEAST_SHOWN else text[-4:],
        made_at=made_at,
        until=until,
    )
