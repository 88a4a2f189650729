"""One change of a stored hook: from what stands in the database to what is in force."""

from collections.abc import Awaitable, Callable

from bridge.admin.hooks import BeingDeleted, InForce, ManagedByFile, NoSuchHook, Unreadable
from bridge.model.hook import Hook
from bridge.ports.hooks import Ends, HookStore, NameTaken, Overtaken, StoredHook

_TRIES = 5

Make = Callable[[StoredHook], Awaitable[tuple[Hook, Ends]]]
"""The hook as it shall be, and which of its secrets end when, from the hook as it is."""


class HookChanges:
    """Reads, changes and writes; whoever names the version it saw is told if there is another one by now."""

    def __init__(self, store: HookStore, in_force: InForce, now: Callable[[], float]) -> None:
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
