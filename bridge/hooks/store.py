"""The store of hooks made through the API, and of pauses and overlays, in the history's database."""

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import ValidationError
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from bridge.core.base import plain
from bridge.core.errors import Problem, SettingsError
from bridge.core.hook import (
    Deleting,
    Ends,
    Hook,
    HookFault,
    NameTaken,
    Overtaken,
    StoredHook,
    StoredHooks,
    TooMany,
)
from bridge.core.ports import HookState
from bridge.db import admin_tables
from bridge.db.admin_tables import hook_versions, hooks, next_revision
from bridge.db.engine import Engine, Reads, Store, Writes
from bridge.db.tables import hook_states
from bridge.db.upserts import any_insert, keep_the_first, padded
from bridge.history import history
from bridge.hooks.versions import SqlHookVersions
from bridge.settings.partial import stand_in_target
from bridge.settings.tree import Settings
from bridge.wire.copies import MessageKeys

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

# The library is imported late: it takes 9 MB and 30 ms, and most processes have no key.

# Encryption at rest: AES-256-GCM, each ciphertext with the id of its key, so that keys can be rotated.


_FORM = b"\x01"
_ID, _NONCE = 8, 12
_HEAD = len(_FORM) + _ID
_PURPOSE = b"amqp-bridge storage.encryption_keys"


class Sealer:
    """Encrypts with the first of its keys, and decrypts with any of them."""

    def __init__(self, keys: Sequence[str]) -> None:
        """`keys` are texts of any form; without one, encryption fails."""
        self._keys = {_derived(key, b" id", _ID): _cipher(key) for key in reversed(keys)}
        self._newest = _derived(keys[0], b" id", _ID) if keys else None

    def seal(self, clear: bytes, about: str) -> bytes:
        """Returns `clear` encrypted, to be opened with the same `about` only; raises SettingsError if there is no key."""
        if self._newest is None:
            raise _no_key("there is no key to seal secrets with: set storage.encryption_keys")
        nonce = os.urandom(_NONCE)
        sealed = self._keys[self._newest].encrypt(nonce, clear, about.encode())
        return _FORM + self._newest + nonce + sealed

    def open(self, sealed: bytes, about: str) -> bytes:
        """Returns the plaintext; raises SettingsError if the key is missing, or the ciphertext was modified."""
        key = self._keys.get(sealed[len(_FORM) : _HEAD]) if sealed.startswith(_FORM) else None
        if key is None:
            raise _no_key(
                f"{about} is sealed with a key that is not given: add the key it was sealed with at the end of "
                "storage.encryption_keys (without such a setting that was http.admin_token)"
            )
        from cryptography.exceptions import InvalidTag

        try:
            return key.decrypt(sealed[_HEAD : _HEAD + _NONCE], sealed[_HEAD + _NONCE :], about.encode())
        except InvalidTag:
            raise _no_key(
                f"what is stored of {about} was changed by somebody else, and cannot be opened"
            ) from None

    def is_newest(self, sealed: bytes) -> bool:
        """Returns whether the first key encrypted it."""
        return self._newest is not None and sealed.startswith(_FORM + self._newest)


def _cipher(key: str) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(_derived(key, b"", 32))


def _derived(key: str, what: bytes, length: int) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), length, salt=None, info=_PURPOSE + what).derive(
        key.encode(errors="surrogateescape")
    )


def _no_key(message: str) -> SettingsError:
    return SettingsError([Problem("storage.encryption_keys", message)])


# The hook as columns of the database: a readable document, and the target with its secrets as one ciphertext.


def document_of(hook: Hook) -> str:
    """Returns the hook without its target, which may have secrets in many places: addresses, headers, arguments."""
    written = plain(hook)
    return json.dumps(written | {"target": {"type": hook.target.type}})


def sealed_of(hook: Hook, ends: Ends, sealer: Sealer) -> bytes:
    """Returns the encrypted target, with the ends of its expiring secrets; raises SettingsError without a key."""
    inside = {"target": plain(hook.target), "ends": ends}
    return sealer.seal(json.dumps(inside).encode(), about(hook.id))


def hook_of(hook_id: str, name: str, document: str, sealed: bytes, sealer: Sealer) -> tuple[Hook, Ends]:
    """Returns the hook; with its readable parts only if it cannot be decrypted, or a newer version wrote it."""
    told = json.loads(document)
    fault: HookFault | None = None
    try:
        inside = json.loads(sealer.open(sealed, about(hook_id)))
    except SettingsError as error:
        fault = HookFault(error.problems[0].message, frozenset({"target"}))
        inside = {"target": stand_in_target(told["target"]["type"]), "ends": ()}
    try:
        hook = Hook.model_validate(told | {"target": inside["target"]})
    except ValidationError as error:
        reason = f"what is stored of it is none of this version's hooks: {_first(error)}"
        fault = HookFault(reason, frozenset({"sources", "events", "filter", "target"}))
        target = stand_in_target(told["target"]["type"])
        hook, inside = Hook.model_validate({"name": name, "target": target}), {"ends": ()}
    hook = hook.with_id(hook_id)
    return hook if fault is None else hook.with_fault(fault), tuple((one, end) for one, end in inside["ends"])


def _first(error: ValidationError) -> str:
    """Returns path and kind of the first error, without the value, which may be a secret."""
    found = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, found['loc']))}: {found['msg']}"


def about(hook_id: str) -> str:
    """Returns the associated data of a hook's ciphertext, with which it opens for no other hook."""
    return f"hook {hook_id}"


_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class _Changes:
    """The changes in the table: all ids, and the rows that are not known yet."""

    revision: int
    there: list[str]
    rows: list[Row[Any]]
    gone: dict[str, str]


def _stored(row: Row[Any], hook: Hook, ends: Ends) -> StoredHook:
    return StoredHook(hook, row.version, row.revision, row.created_at, row.updated_at, row.deleting, ends)


# ---- reading --------------------------------------------------------------------------------------------


def _changed(connection: Connection, known: Mapping[str, int]) -> _Changes:
    c = hooks.c
    number = admin_tables.revision(connection)  # first: a concurrent change must show as newer
    stand = connection.execute(select(c.id, c.version, c.deleting, c.name).order_by(c.name, c.id)).all()
    there = {one: version for one, version, deleting, _ in stand if deleting != "gone"}
    anew = [one for one, version in there.items() if known.get(one) != version]
    rows: list[Row[Any]] = []
    for start in range(0, len(anew), _AT_ONCE):
        some = padded(anew[start : start + _AT_ONCE])
        rows += connection.execute(select(hooks).where(c.id.in_(some))).all()
    gone = {one: name for one, _, deleting, name in stand if deleting == "gone"}
    return _Changes(number, list(there), rows, gone)


def _row(connection: Connection, hook_id: str) -> Row[Any] | None:
    return connection.execute(select(hooks).where(hooks.c.id == hook_id)).one_or_none()


def _all_sealed(connection: Connection) -> list[tuple[str, bytes]]:
    c = hooks.c
    rows = connection.execute(select(c.id, c.sealed).where(c.sealed.is_not(None)))
    return [(one, bytes(sealed)) for one, sealed in rows]


# ---- writing --------------------------------------------------------------------------------------------


def _add(connection: Connection, hook: Hook, sealed: bytes, at: float, most: int | None) -> Row[Any]:
    number = next_revision(connection)
    if (done := _row(connection, hook.id)) is not None:
        return done  # ids are random: this transaction was committed before its connection broke
    _check_name(connection, hook)
    count = select(func.count()).select_from(hooks).where(hooks.c.deleting != "gone")
    if most is not None and connection.execute(count).scalar_one() >= most:
        raise TooMany
    given = {"name": hook.name, "document": document_of(hook), "sealed": sealed, "updated_at": at}
    row = {"id": hook.id, "version": 1, "revision": number, "created_at": at} | given
    return connection.execute(insert(hooks).values(row).returning(hooks)).one()


def _replace(connection: Connection, hook: Hook, sealed: bytes, at: float, version: int) -> Row[Any]:
    number = next_revision(connection)
    row = _row(connection, hook.id)
    if row is not None and row.version == version + 1 and row.updated_at == at:
        return row  # as above
    if row is None or row.version != version or row.deleting not in {"", "drain"}:
        raise Overtaken
    _check_name(connection, hook)
    given = {"name": hook.name, "document": document_of(hook), "sealed": sealed, "updated_at": at}
    return _put(connection, hook.id, {"version": version + 1, "revision": number} | given)


def _delete(connection: Connection, hook_id: str, how: Deleting, at: float, version: int | None) -> Row[Any]:
    """Marks the hook as being deleted; returns its row as it was before."""
    number = next_revision(connection)
    row = _row(connection, hook_id)
    if row is None or row.deleting == "gone" or (version is not None and row.version != version):
        raise Overtaken
    given = {"deleting": how, "updated_at": at, "version": row.version + 1, "revision": number}
    _put(connection, hook_id, given | ({"sealed": None} if how == "gone" else {}))
    if how == "gone":
        connection.execute(delete(hook_states).where(hook_states.c.hook == hook_id))
        connection.execute(delete(hook_versions).where(hook_versions.c.hook == hook_id))
    return row


def _put(connection: Connection, hook_id: str, values: Mapping[str, Any]) -> Row[Any]:
    statement = update(hooks).where(hooks.c.id == hook_id).values(values)
    return connection.execute(statement.returning(hooks)).one()


def _check_name(connection: Connection, hook: Hook) -> None:
    c = hooks.c
    other = select(c.id).where(c.name == hook.name, c.deleting != "gone", c.id != hook.id)
    if connection.execute(other).first() is not None:
        raise NameTaken(hook.name)


def _say(connection: Connection, hook: str, change: Callable[[HookState], HookState]) -> HookState:
    """Store the result of `change` on the hook's state (automatic pause and overrides) atomically; a hook without a
    state starts with an empty one. `change` may be called twice.
    """
    next_revision(connection)
    said = history.stored_hook_states(connection).get(hook)
    state = change(said or HookState(hook, paused=False, reason="", at=0.0))
    history.store_hook_state(connection, state)
    return state


class SqlHooks(Store):
    """The store of hooks of the API, whose targets are encrypted at rest. A hook whose key is missing is returned as broken,
    with a placeholder target. Each method raises HistoryUnavailable.
    """

    revision = Reads(admin_tables.revision)
    say = Writes(_say)

    def __init__(self, engine: Engine, sealer: Sealer) -> None:
        """`engine` is that of the history, which also closes it."""
        self.engine = engine
        self._sealer = sealer
        self._known: dict[str, StoredHook] = {}
        self.versions = SqlHookVersions(engine, sealer)

    async def stored_hooks(self) -> StoredHooks:
        known = self._known
        # A hook that could not be decrypted is read again: another replica may have encrypted it with another key meanwhile.
        versions = {one: stored.version for one, stored in known.items() if stored.hook.fault is None}
        found = await self.engine.read(partial(_changed, known=versions))
        # Decrypting thousands of hooks takes a while, in which deliveries must continue.
        opened = await asyncio.to_thread(lambda: [self._opened(row) for row in found.rows])
        fresh = {stored.hook.id: stored for stored in opened}
        self._known = {one: fresh.get(one) or known[one] for one in found.there}
        return StoredHooks(found.revision, list(self._known.values()), found.gone)

    async def stored_hook(self, hook_id: str) -> StoredHook | None:
        row = await self.engine.read(partial(_row, hook_id=hook_id))
        return None if row is None or row.deleting == "gone" else self._opened(row)

    async def add_hook(self, hook: Hook, at: float, *, most: int | None = None) -> StoredHook:
        sealed = sealed_of(hook, (), self._sealer)
        row = await self.engine.write(partial(_add, hook=hook, sealed=sealed, at=at, most=most))
        return await self.versions.note(_stored(row, hook, ()))

    async def replace_hook(self, hook: Hook, at: float, *, version: int, ends: Ends = ()) -> StoredHook:
        sealed = sealed_of(hook, ends, self._sealer)
        row = await self.engine.write(partial(_replace, hook=hook, sealed=sealed, at=at, version=version))
        return await self.versions.note(_stored(row, hook, ends))

    async def delete_hook(self, hook_id: str, how: Deleting, at: float, *, version: int | None) -> StoredHook:
        row = await self.engine.write(partial(_delete, hook_id=hook_id, how=how, at=at, version=version))
        before = self._opened(row)
        return replace(before, version=before.version + 1, updated_at=at, deleting=how)

    async def reseal(self) -> int:
        """Encrypts with the newest key what older keys encrypted; returns the number of hooks.

        Hooks that cannot be decrypted stay as they are: their key may be restored.
        """
        sealed = await self.engine.read(_all_sealed)
        count = 0
        for hook_id, piece in sealed:
            if self._sealer.is_newest(piece):
                continue
            try:
                clear = self._sealer.open(piece, about(hook_id))
            except SettingsError:
                continue
            anew = self._sealer.seal(clear, about(hook_id))
            await self.engine.write(partial(_put_sealed, hook_id=hook_id, old=piece, new=anew))
            count += 1
        return count

    def _opened(self, row: Row[Any]) -> StoredHook:
        return _stored(row, *hook_of(row.id, row.name, row.document, bytes(row.sealed), self._sealer))


def _put_sealed(connection: Connection, hook_id: str, old: bytes, new: bytes) -> None:
    """Replaces the ciphertext, unless it was changed meanwhile, which encrypted it with the newest key."""
    c = hooks.c
    connection.execute(update(hooks).where(c.id == hook_id, c.sealed == old).values(sealed=new))


# The hook store and the signing key, opened with the keys of the settings.


log = structlog.get_logger(__name__)


async def open_hook_store(settings: Settings, engine: Engine) -> SqlHooks:
    """Opens the store of hooks in the history's database, and encrypts all hooks with the newest key as far as their keys are
    given. Raises HistoryUnavailable.
    """
    keys = [key.get_secret_value() for key in settings.storage.encryption_keys]
    token = settings.http.admin_token
    # The token still decrypts what it encrypted before keys were configured.
    store = SqlHooks(engine, Sealer([*keys, *([] if token is None else [token.get_secret_value()])]))
    if anew := await store.reseal():
        log.info("hooks.resealed", hooks=anew)
    if not keys and token is not None and (await store.stored_hooks()).hooks:
        log.warning(
            "hooks.sealed_with_admin_token",
            advice="set storage.encryption_keys: until then http.admin_token is the key of the secrets of hooks made "
            "through the API, and cannot be changed without losing them",
        )
    return store


async def message_keys(settings: Settings, engine: Engine) -> MessageKeys:
    """Returns the keys that sign the bridge's own messages: those of the settings, else one stored in the history.

    The history's key still verifies after keys were added to the settings. Raises HistoryUnavailable.
    """
    secrets = [key.get_secret_value().encode() for key in settings.storage.encryption_keys]
    kept = await engine.write(partial(_stored_key, new=None if secrets else os.urandom(_BYTES)))
    return MessageKeys.derived_from(secrets if kept is None else [*secrets, kept])


# The key that signs the bridge's own messages, if the settings have none.


_ONLY = 1
_BYTES = 32


def _stored_key(connection: Connection, new: bytes | None) -> bytes | None:
    if new is not None:
        # If replicas start together, the first insert wins, and all of them read that key.
        insert = any_insert(connection, admin_tables.message_keys).values(id=_ONLY, secret=new)
        connection.execute(keep_the_first(insert, admin_tables.message_keys))
    c = admin_tables.message_keys.c
    found: bytes | None = connection.scalar(select(c.secret).where(c.id == _ONLY))
    return None if found is None else bytes(found)
