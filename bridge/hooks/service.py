"""The use cases that create, change and delete hooks at run time.

This module has what the use cases require of the process, the errors they raise, and create, replace, patch and delete.
switch.py has enable, disable, pause, resume and the rotation of secrets; presenter.py makes the documents.
"""

import asyncio
import re
import secrets
import string
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from itertools import count
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from bridge.core.base import plain, value
from bridge.core.errors import Problem, SettingsError
from bridge.core.hook import Ends, Hook, NameTaken, Overtaken, StoredHook
from bridge.core.ports import HookState
from bridge.core.records import HookHealth
from bridge.core.target import TARGET_TYPES
from bridge.hooks.store import SqlHooks
from bridge.hooks.validate import Grounds, hook_of, patched, replaced, unkept, without_read_only
from bridge.pipeline.hook_table import HookTable


@value(frozen=True, slots=True)
class Removal:
    """The result of deleting a hook: the state of its lane, and the number of deliveries; None: not known yet, or not
    applicable.

    dropped: `deliveries` became FAILED `hook_deleted`; dropping: they will; draining: `waiting` are still delivered; drained:
    none waited.
    """

    lane: Literal["dropped", "dropping", "draining", "drained"]
    deliveries: int | None = None
    waiting: int | None = None


class InForce(Protocol):
    """The hooks that this process serves, and their announcement to other replicas."""

    @property
    def table(self) -> HookTable:
        """Returns the workers of all hooks in force; their hooks have the effective enabled and paused."""

    @property
    def written(self) -> Mapping[str, Hook]:
        """Returns the hooks of the file by id, without overlays."""

    @property
    def stored(self) -> Mapping[str, StoredHook]:
        """Returns the hooks of the API as last read, by id, with broken ones and those being deleted."""

    @property
    def gone(self) -> Mapping[str, str]:
        """Returns the names of deleted hooks of the API as last read, by id."""

    @property
    def states(self) -> Mapping[str, HookState]:
        """Returns the pauses and overlays as last read, by hook id."""

    @property
    def broken(self) -> Mapping[str, str]:
        """Returns why hooks cannot be served as configured, by id."""

    @property
    def health(self) -> Mapping[str, HookHealth]:
        """Returns the health of hooks as last read, by hook id."""

    async def changed(self) -> None:
        """Reads the stored hooks and states, activates them, and notifies the replicas; returns when they are in force here.
        Raises HistoryUnavailable.
        """


Delete = Callable[[StoredHook, Literal["drain", "drop"]], Awaitable[Removal]]
"""Deactivates a hook, already stored as being deleted, on all replicas, and drains or drops its lane. Returns after 10 s at the
latest, and continues in the background if necessary.
"""


class NoSuchHook(Exception):
    """No hook has this id or name."""


class ManagedByFile(Exception):
    """The hook is in the bridge's file, and has to be changed there."""


class BeingDeleted(Exception):
    """The hook has been deleted, and its waiting deliveries are being drained or dropped."""


class NoSecrets(Exception):
    """The hook has no secrets that can be rotated; the text says why."""


class Unreadable(Exception):
    """The stored hook cannot be read here; the text says why, and what to do."""


# The change of one stored hook, from the database to the hooks in force.


_TRIES = 5

Make = Callable[[StoredHook], Awaitable[tuple[Hook, Ends]]]
"""Returns the changed hook, and the end of each expiring secret, from the present hook."""


class HookChanges:
    """Reads, changes and writes a hook; a caller that gives a version gets an error if the hook has another one by now."""

    def __init__(self, store: SqlHooks, in_force: InForce, now: Callable[[], float]) -> None:
        """`now` returns Unix seconds."""
        self.store = store
        self.in_force = in_force
        self.now = now

    async def stored(self, which: str) -> StoredHook:
        """Returns the hook with this id or name from the database; raises ManagedByFile, NoSuchHook."""
        if which in self.in_force.written:
            raise ManagedByFile
        found = await self.store.stored_hook(which)
        if found is None:
            # Another replica may have created it just now, so the hooks known here do not suffice.
            every = (await self.store.stored_hooks()).hooks
            found = next((stored for stored in every if stored.hook.name == which), None)
        if found is None:
            raise NoSuchHook
        return found

    @staticmethod
    def check_readable(stored: StoredHook) -> None:
        """Raises Unreadable for a hook that is known in part only: storing it would lose the rest."""
        if (fault := stored.hook.fault) is not None:
            raise Unreadable(
                f"{fault.reason}; until then it can only be replaced whole (PUT, `hooks update -f`), or deleted"
            )

    async def change(
        self, which: str, make: Make, *, match: int | None = None, drains: bool = False, whole: bool = False
    ) -> StoredHook:
        """Changes a hook, and returns it as it is in force; `drains`: also one that is being drained; `whole`: nothing of an
        unreadable hook is kept.

        Raises NoSuchHook, ManagedByFile, BeingDeleted, NameTaken, Unreadable, Overtaken if its version is not `match`, and what
        `make` raises, with nothing changed.
        """
        for _ in range(_TRIES):
            stored = await self.stored(which)
            if match is not None and stored.version != match:
                raise Overtaken
            if stored.deleting == "drop" or (stored.deleting and not drains):
                raise BeingDeleted
            if not whole:
                self.check_readable(stored)
            hook, ends = await make(stored)
            self.check_name(hook)
            live = tuple((secret, end) for secret, end in ends if end > self.now())
            try:
                changed = await self.store.replace_hook(
                    hook.with_id(stored.hook.id), self.now(), version=stored.version, ends=live
                )
            except Overtaken:
                continue
            await self.in_force.changed()
            return changed
        raise Overtaken

    def check_name(self, hook: Hook) -> None:
        """Raises NameTaken if a hook of the file has its name."""
        if hook.name in self.in_force.written:
            raise NameTaken


# The names for hooks that were created without one.


_LONGEST = 64


def name_for(tree: Mapping[str, Any]) -> str:
    """Returns a name based on the target: the host of a webhook, the file of a script, a queue, a service."""
    target = tree.get("target")
    if not isinstance(target, Mapping):
        return "hook"
    kind = target.get("type")
    suggested = (_suggested(target.get(key)) for key in ("url", "command", "queue", "exchange", "urls"))
    words = re.sub(r"[^a-z0-9]+", "-", next(filter(None, suggested), "").lower()).strip("-")
    known = kind if isinstance(kind, str) and kind in TARGET_TYPES else "hook"
    return (words or known)[:_LONGEST].strip("-")


def free_name(wanted: str, taken: Collection[str]) -> str:
    """Returns the name, or the first free one of `name-2`, `name-3`, ..."""
    if wanted not in taken:
        return wanted
    numbered = (f"{wanted[: _LONGEST - len(str(number)) - 1]}-{number}" for number in count(2))
    return next(name for name in numbered if name not in taken)


def _suggested(value: Any) -> str:
    """Returns the host of an address, or its scheme if the host may be secret (`discord://id/token`); the file of a path."""
    if isinstance(value, list):
        first = value[0] if value and isinstance(value[0], str) else ""
        return first.partition("://")[0] if "://" in first else first.rpartition("/")[2]
    if not isinstance(value, str):
        return ""
    try:
        return (urlsplit(value).hostname or "") if "://" in value else value
    except ValueError:
        return ""


# The creation, replacement, patching and deletion of hooks.


class ManageHooks:
    """Creates and changes hooks. Trees are JSON values from requests, and validated here.

    All methods raise SettingsError with each problem and its path, HistoryUnavailable, and the errors of HookChanges.change;
    `match` is the version to be changed, None for any.
    """

    def __init__(
        self,
        store: SqlHooks,
        in_force: InForce,
        grounds: Grounds,
        *,
        delete: Delete,
        most: int,
        now: Callable[[], float],
    ) -> None:
        """`most`: maximum number of stored hooks; `now` returns Unix seconds."""
        self._changes = HookChanges(store, in_force, now)
        self._store = store
        self._in_force = in_force
        self._grounds = grounds
        self._delete = delete
        self._most = most
        self._now = now

    async def create(self, tree: Any) -> StoredHook:
        """Creates a hook, which is in force at once; without a name it gets one. Raises NameTaken, TooMany."""
        tree = without_read_only(tree)
        if not isinstance(tree, dict) or tree.get("name") not in (None, ""):
            return await self._add(await self._judged(tree))
        for _ in range(_TRIES):
            hook = await self._judged({**tree, "name": free_name(name_for(tree), await self._taken())})
            try:
                return await self._add(hook)
            except NameTaken:
                continue  # a concurrent request got the same generated name
        raise NameTaken

    async def replace(self, which: str, tree: Any, *, match: int | None = None) -> StoredHook:
        """Replaces the whole hook; secrets that are absent, or `***`, are kept."""

        async def make(stored: StoredHook) -> tuple[Hook, Ends]:
            _check_id(tree, stored)
            given = without_read_only(tree)
            if stored.hook.fault is not None:  # the stored hook is unreadable: there is nothing to keep
                return await self._judged(given), ()
            return await self._judged(replaced(given, stored.hook.target)), stored.ends

        return await self._changes.change(which, make, match=match, whole=True)

    async def patch(self, which: str, patch: Any, *, match: int | None = None) -> StoredHook:
        """Applies a JSON merge patch (RFC 7396): members that it does not name stay, null removes."""
        if not isinstance(patch, dict):
            raise SettingsError([Problem("", "a merge patch of a hook is an object")])

        async def make(stored: StoredHook) -> tuple[Hook, Ends]:
            _check_id(patch, stored)
            merged = patched(plain(stored.hook), without_read_only(patch), stored.hook.target)
            return await self._judged(merged), stored.ends

        return await self._changes.change(which, make, match=match)

    async def delete(
        self, which: str, how: Literal["drain", "drop"], *, match: int | None = None
    ) -> tuple[StoredHook, Removal]:
        """Deletes the hook: it matches no more events; waiting deliveries are still made, or become FAILED `hook_deleted`.

        A hook that is being drained can still be dropped.
        """
        for _ in range(_TRIES):
            stored = await self._changes.stored(which)
            if match is not None and stored.version != match:
                raise Overtaken
            if stored.deleting == "drop" and how == "drain":
                raise BeingDeleted
            try:
                if stored.deleting != how:
                    stored = await self._store.delete_hook(
                        stored.hook.id, how, self._now(), version=stored.version
                    )
            except Overtaken:
                continue
            return stored, await self._delete(stored, how)
        raise Overtaken

    async def _judged(self, tree: Any) -> Hook:
        if found := unkept(tree):
            raise SettingsError(found)
        # Loading services and compiling filters takes a while, in which deliveries must continue.
        return await asyncio.to_thread(partial(hook_of, tree, self._grounds))

    async def _add(self, hook: Hook) -> StoredHook:
        self._changes.check_name(hook)
        stored = await self._store.add_hook(hook.with_id(_new_id()), self._now(), most=self._most)
        await self._in_force.changed()
        return stored

    async def _taken(self) -> set[str]:
        every = (await self._store.stored_hooks()).hooks
        return {*self._in_force.written, *(stored.hook.name for stored in every)}


def _new_id() -> str:
    return "hk_" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))


def _check_id(tree: Any, stored: StoredHook) -> None:
    if isinstance(tree, dict) and tree.get("id", stored.hook.id) != stored.hook.id:
        raise SettingsError([Problem("id", f"is {stored.hook.id} and never changes")])
