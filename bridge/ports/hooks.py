"""Hooks that are made through the API, and what was said of hooks beside their configuration."""

from collections.abc import Sequence
from typing import Literal, Protocol

from bridge.model.hook import Hook
from bridge.model.value import value

Deleting = Literal["", "drain", "drop", "gone"]
"""drain: matches nothing more, what waits is still delivered; drop: what waits becomes FAILED `hook_deleted`; gone:
its lane is deleted, the row stays so that copies that come late are known."""


@value(frozen=True, slots=True)
class StoredHook:
    """A hook of the API as it is stored, its secrets in the clear. `version` rises with every change (the ETag);
    `revision` is that of the table when it was changed last. Times in Unix seconds.
    """

    hook: Hook
    version: int
    revision: int
    created_at: float
    updated_at: float
    deleting: Deleting = ""


@value(frozen=True, slots=True)
class StoredHooks:
    """All that are stored, those being deleted included; `revision` rises with every change to any of them."""

    revision: int
    hooks: Sequence[StoredHook]


class HookStore(Protocol):
    """Where hooks of the API are kept; their secrets are encrypted there. All raise HistoryUnavailable."""

    async def stored_hooks(self) -> StoredHooks: ...

    async def revision(self) -> int:
        """The revision alone."""
        ...

    async def add_hook(self, hook: Hook, at: float) -> StoredHook:
        """Raises NameTaken where a stored hook that is not gone has the name."""
        ...

    async def replace_hook(self, hook: Hook, at: float, *, version: int) -> StoredHook:
        """Put it in place of the one with its id; raises Overtaken where that has another version by now or is gone,
        NameTaken as above.
        """
        ...

    async def delete_hook(self, hook_id: str, how: Deleting, at: float, *, version: int | None) -> StoredHook:
        """Move on to this state of being deleted; raises Overtaken. `version` None: whatever it is."""
        ...


class NameTaken(Exception):
    """Another hook has this name."""


class Overtaken(Exception):
    """Somebody else changed it meanwhile, or it is gone."""
