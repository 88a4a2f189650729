"""Hooks made, changed and removed while the bridge runs.

Here stands what the use cases ask of the process that serves hooks, and what they raise. The use cases themselves:
hooks_manage (create, replace, patch, delete), hooks_switch (enable, disable, pause, resume), hooks_rotate (secrets);
documents are made by look_hooks.
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
from bridge.core.statistics import HookHealth
from bridge.core.target import TARGET_TYPES
from bridge.hooks.merge import patched, replaced, unkept, without_read_only
from bridge.hooks.store import SqlHooks
from bridge.hooks.validate import Grounds, hook_of
from bridge.pipeline.hook_table import HookTable


@value(frozen=True, slots=True)
class Removal:
    """What was done with a hook's lane, and with how many deliveries; None: not known yet, or it does not apply.

    dropped: `deliveries` became FAILED `hook_deleted`; dropping: they will; draining: `waiting` are still delivered;
    drained: nothing waited.
    """

    lane: Literal["dropped", "dropping", "draining", "drained"]
    deliveries: int | None = None
    waiting: int | None = None


class InForce(Protocol):
    """The hooks that this process serves by now, and the way to others."""

    @property
    def table(self) -> HookTable:
        """The runners of all hooks in force, by hook id; their hooks have the effective enabled and paused."""
        ...

    @property
    def written(self) -> Mapping[str, Hook]:
        """The hooks of the file as they are written there, by id: without what was said of them since."""
        ...

    @property
    def stored(self) -> Mapping[str, StoredHook]:
        """The hooks of the API as they were read last, by id: those that cannot be served and those being deleted
        too, but none that is gone.
        """
        ...

    @property
    def states(self) -> Mapping[str, HookState]:
        """What was said of hooks beside their configuration, as it was read last, by hook id."""
        ...

    @property
    def broken(self) -> Mapping[str, str]:
        """Returns why hooks cannot be served as configured, by id."""
        ...

    @property
    def health(self) -> Mapping[str, HookHealth]:
        """How hooks have fared, as it was read last, by hook id."""
        ...

    async def changed(self) -> None:
        """Read stored hooks and states from the database, swap, and tell the replicas; returns when they are in force
        here. Raises HistoryUnavailable.
        """
        ...

    async def delete(self, hook: StoredHook, how: Literal["drain", "drop"]) -> Removal:
        """Take it out of force on all replicas and do with its lane as said; `hook` is stored as being deleted so
        already. Returns after 10 s at the latest, and goes on in the background where it is not done by then.
        """
        ...


class NoSuchHook(Exception):
    """There is no hook with this id or name."""


class ManagedByFile(Exception):
    """The hook is written in the bridge's file, and changed there."""


class BeingDeleted(Exception):
    """The hook is deleted already, and what waits for it is being dealt with."""


class NoSecrets(Exception):
    """The hook signs with nothing that could be rotated so; the text says why."""


class Unreadable(Exception):
    """What is stored of the hook cannot be read here; the text says why, and what to do."""


# One change of a stored hook: from what stands in the database to what is in force.


_TRIES = 5

Make = Callable[[StoredHook], Awaitable[tuple[Hook, Ends]]]
"""The hook as it shall be, and which of its secrets end when, from the hook as it is."""


class HookChanges:
    """Reads, changes and writes; whoever names the version it saw is told if there is another one by now."""

    def __init__(self, store: SqlHooks, in_force: InForce, now: Callable[[], float]) -> None:
        """`now` gives Unix seconds."""
        self.store = store
        self.in_force = in_force
        self.now = now

    async def stored(self, which: str) -> StoredHook:
        """The hook with this id or name as the database has it; raises ManagedByFile, NoSuchHook."""
        if which in self.in_force.written:
            raise ManagedByFile
        found = await self.store.stored_hook(which)
        if found is None:
            # Another replica may have made it just now, so what is known here is not enough.
            every = (await self.store.stored_hooks()).hooks
            found = next((stored for stored in every if stored.hook.name == which), None)
        if found is None:
            raise NoSuchHook
        return found

    @staticmethod
    def check_readable(stored: StoredHook) -> None:
        """Raises Unreadable for one of which a part is not known: it would be stored without that part."""
        if (fault := stored.hook.fault) is not None:
            raise Unreadable(
                f"{fault.reason}; until then it can only be replaced whole (PUT, `hooks update -f`), or deleted"
            )

    async def change(
        self, which: str, make: Make, *, match: int | None = None, drains: bool = False, whole: bool = False
    ) -> StoredHook:
        """The hook as it is in force then; `drains`: also one that is deleted while what waits is delivered; `whole`:
        nothing is kept of the one that cannot be read.

        Raises NoSuchHook, ManagedByFile, BeingDeleted, NameTaken, Unreadable, Overtaken where its version is not `match`,
        and what `make` raises, with nothing changed.
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
        """Raises NameTaken where a hook of the file has its name."""
        if hook.name in self.in_force.written:
            raise NameTaken


# Names for hooks that came without one.


_LONGEST = 64


def name_for(tree: Mapping[str, Any]) -> str:
    """What the target suggests: the host of a webhook, a script's file, a queue, a service."""
    target = tree.get("target")
    if not isinstance(target, Mapping):
        return "hook"
    kind = target.get("type")
    suggested = (_suggested(target.get(key)) for key in ("url", "command", "queue", "exchange", "urls"))
    words = re.sub(r"[^a-z0-9]+", "-", next(filter(None, suggested), "").lower()).strip("-")
    known = kind if isinstance(kind, str) and kind in TARGET_TYPES else "hook"
    return (words or known)[:_LONGEST].strip("-")


def free_name(wanted: str, taken: Collection[str]) -> str:
    """The name, or the first free one of `name-2`, `name-3`, ..."""
    if wanted not in taken:
        return wanted
    numbered = (f"{wanted[: _LONGEST - len(str(number)) - 1]}-{number}" for number in count(2))
    return next(name for name in numbered if name not in taken)


def _suggested(value: Any) -> str:
    """Of an address the host, or where that may be secret (`discord://id/token`) the scheme; of a path the file."""
    if isinstance(value, list):
        first = value[0] if value and isinstance(value[0], str) else ""
        return first.partition("://")[0] if "://" in first else first.rpartition("/")[2]
    if not isinstance(value, str):
        return ""
    try:
        return (urlsplit(value).hostname or "") if "://" in value else value
    except ValueError:
        return ""


# Hooks are made, replaced, patched and deleted.


class ManageHooks:
    """Trees in are JSON values as somebody sent them; what they hold is judged here.

    All raise SettingsError with what is wrong by path, HistoryUnavailable, and as HookChanges.change; `match` is the
    version that is to be changed, None: whatever it is.
    """

    def __init__(
        self, store: SqlHooks, in_force: InForce, grounds: Grounds, *, most: int, now: Callable[[], float]
    ) -> None:
        """`most`: hooks that may be stored; `now` gives Unix seconds."""
        self._changes = HookChanges(store, in_force, now)
        self._store = store
        self._in_force = in_force
        self._grounds = grounds
        self._most = most
        self._now = now

    async def create(self, tree: Any) -> StoredHook:
        """A new hook, in force; without a name it gets one. Raises NameTaken, TooMany."""
        tree = without_read_only(tree)
        if not isinstance(tree, dict) or tree.get("name") not in (None, ""):
            return await self._add(await self._judged(tree))
        for _ in range(_TRIES):
            hook = await self._judged({**tree, "name": free_name(name_for(tree), await self._taken())})
            try:
                return await self._add(hook)
            except NameTaken:
                continue  # somebody else got the same name made meanwhile
        raise NameTaken

    async def replace(self, which: str, tree: Any, *, match: int | None = None) -> StoredHook:
        """The whole hook anew; secrets that are absent, or `***`, are kept."""

        async def make(stored: StoredHook) -> tuple[Hook, Ends]:
            _check_id(tree, stored)
            given = without_read_only(tree)
            if stored.hook.fault is not None:  # nothing is known that could be kept
                return await self._judged(given), ()
            return await self._judged(replaced(given, stored.hook.target)), stored.ends

        return await self._changes.change(which, make, match=match, whole=True)

    async def patch(self, which: str, patch: Any, *, match: int | None = None) -> StoredHook:
        """A JSON merge patch (RFC 7396): what it does not name stays, null takes away."""
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
        """It matches nothing more; what waits is still delivered, or becomes FAILED `hook_deleted`.

        A hook that drains may be dropped still.
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
            return stored, await self._in_force.delete(stored, how)
        raise Overtaken

    async def _judged(self, tree: Any) -> Hook:
        if found := unkept(tree):
            raise SettingsError(found)
        # Filters and services take a while to load and to compile, in which deliveries must go on.
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
