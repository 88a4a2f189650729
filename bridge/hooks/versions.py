"""The versions of hooks made through the API: when and by whom each was made, what changed, and how one is restored.

A version is stored without its secrets, of which only digests tell whether they changed; a restored one keeps the present ones.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from hashlib import sha256
from typing import Any, Protocol

from sqlalchemy import Connection, Row, delete, select

from bridge.core.access import ACTING
from bridge.core.base import value
from bridge.core.errors import SettingsError
from bridge.core.hook import Hook, StoredHook
from bridge.core.target import WebhookTarget
from bridge.db.admin_tables import hook_versions
from bridge.db.engine import Engine, Store
from bridge.db.rows import storable
from bridge.db.upserts import any_insert, keep_the_first
from bridge.settings.shown import shown

MOST = 50
"""Maximum versions of a hook that are kept."""
_LEFT_OUT = frozenset({"id"})


@value(frozen=True, slots=True)
class HookVersion:
    """A version of a hook: its tree without secrets, None if it cannot be opened, and the digests of its secrets."""

    version: int
    at: float
    by: str
    tree: dict[str, Any] | None
    secrets: tuple[str, ...] = ()

    def changes(self, before: "HookVersion | None") -> list[tuple[str, Any, Any]]:
        """Returns the path, the former and the new value of each change; none if either is not known."""
        if before is None or before.tree is None or self.tree is None:
            return []
        found = sorted(_differences(before.tree, self.tree, ""), key=lambda change: change[0])
        return found if before.secrets == self.secrets else [*found, ("target.secrets", None, None)]


class Seals(Protocol):
    """Encryption at rest."""

    def seal(self, clear: bytes, about: str) -> bytes: ...
    def open(self, sealed: bytes, about: str) -> bytes: ...


class SqlHookVersions(Store):
    """The store of versions. Each method raises HistoryUnavailable."""

    def __init__(self, engine: Engine, seals: Seals) -> None:
        self.engine = engine
        self._seals = seals

    async def note(self, stored: StoredHook) -> StoredHook:
        """Stores the version, made by the token that acts; returns the hook."""
        hook = stored.hook
        tree = {**hook.model_dump(mode="json", exclude={"target"}), "target": shown(hook.target)}
        text = json.dumps({"hook": tree, "secrets": digests(hook)}).encode()
        row = {
            "hook": hook.id,
            "version": stored.version,
            "at": stored.updated_at,
            "by": storable(ACTING.get()),
            "sealed": self._seals.seal(text, _about(hook.id, stored.version)),
        }
        await self.engine.write(partial(_note, row=row))
        return stored

    async def of(self, hook_id: str) -> Sequence[HookVersion]:
        """Returns the versions of the hook, newest first."""
        return [self._opened(row) for row in await self.engine.read(partial(_of, hook_id=hook_id))]

    def _opened(self, row: Row[Any]) -> HookVersion:
        inside: dict[str, Any] = {"hook": None, "secrets": ()}
        with suppress(SettingsError):
            inside = json.loads(self._seals.open(bytes(row.sealed), _about(row.hook, row.version)))
        return HookVersion(row.version, row.at, row.by, inside["hook"], tuple(inside["secrets"]))


def digests(hook: Hook) -> list[str]:
    """Returns digests of the secrets with which the hook signs, in their order."""
    target = hook.target
    secrets = target.secrets if isinstance(target, WebhookTarget) else ()
    return [sha256(f"{hook.id} {each.get_secret_value()}".encode()).hexdigest()[:16] for each in secrets]


def _about(hook_id: str, version: int) -> str:
    return f"hook {hook_id} version {version}"


def _note(connection: Connection, row: dict[str, Any]) -> None:
    c = hook_versions.c
    connection.execute(keep_the_first(any_insert(connection, hook_versions).values(row), hook_versions))
    old = (c.hook == row["hook"], c.version <= row["version"] - MOST)
    connection.execute(delete(hook_versions).where(*old))


def _of(connection: Connection, hook_id: str) -> Sequence[Row[Any]]:
    c = hook_versions.c
    return connection.execute(select(hook_versions).where(c.hook == hook_id).order_by(c.version.desc())).all()


def _differences(before: Any, after: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if not (isinstance(before, dict) and isinstance(after, dict)):
        if before != after:
            yield path, before, after
        return
    for name in dict.fromkeys((*before, *after)):
        inner = f"{path}.{name}" if path else name
        if inner not in _LEFT_OUT:
            yield from _differences(before.get(name), after.get(name), inner)
