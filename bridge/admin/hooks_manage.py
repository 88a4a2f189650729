"""Hooks are made, replaced, patched and deleted."""

import asyncio
import secrets
import string
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from bridge.admin.hooks import BeingDeleted, InForce, Removal
from bridge.admin.hooks_change import HookChanges
from bridge.admin.hooks_kept import patched, replaced, unkept, without_read_only
from bridge.admin.hooks_names import free_name, name_for
from bridge.admin.hooks_written import Grounds, hook_of
from bridge.model.errors import Problem, SettingsError
from bridge.model.hook import Hook
from bridge.model.plain import plain
from bridge.ports.hooks import Ends, HookStore, NameTaken, Overtaken, StoredHook

_TRIES = 5


class ManageHooks:
    """Trees in are JSON values as somebody sent them; what they hold is judged here.

    All raise SettingsError with what is wrong by path, HistoryUnavailable, and as HookChanges.change; `match` is the
    version that is to be changed, None: whatever it is.
    """

    def __init__(
        self, store: HookStore, in_force: InForce, grounds: Grounds, *, most: int, now: Callable[[], float]
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
