"""Hooks that are made through the API, and what was said of hooks beside their configuration."""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from bridge.core.base import value
from bridge.core.hook import Hook
from bridge.core.ports import HookState
from bridge.core.target import WebhookTarget

Deleting = Literal["", "drain", "drop", "gone"]
"""drain: matches nothing more, what waits is still delivered; drop: what waits becomes FAILED `hook_deleted`; gone:
its lane is deleted, the row stays so that copies that come late are known."""

Ends = tuple[tuple[str, float], ...]
"""Secrets in the clear, each with the Unix time at which it ends."""


@value(frozen=True, slots=True)
class StoredHook:
    """A hook of the API as it is stored, its secrets in the clear. `version` rises with every change (the ETag);
    `revision` is that of the table when it was changed last. Times in Unix seconds.

    `ends` tells of secrets that were replaced how long they go on signing beside the new one.
    """

    hook: Hook
    version: int
    revision: int
    created_at: float
    updated_at: float
    deleting: Deleting = ""
    ends: Ends = ()

    def live(self, now: float) -> Hook:
        """The hook as it is to be in force now: without secrets that have ended."""
        over = {secret for secret, end in self.ends if end <= now}
        target = self.hook.target
        if not over or not isinstance(target, WebhookTarget):
            return self.hook
        secrets = [secret for secret in target.secrets if secret.get_secret_value() not in over]
        return self.hook.model_copy(update={"target": target.model_copy(update={"secrets": secrets})})

    def next_end(self, now: float) -> float | None:
        """When `live` changes next by itself."""
        return min((end for _, end in self.ends if end > now), default=None)


@value(frozen=True, slots=True)
class StoredHooks:
    """All that are stored, those being deleted included; `revision` rises with every change to any of them and to
    what was said of hooks. `gone` are the ids of those whose lanes are deleted.
    """

    revision: int
    hooks: Sequence[StoredHook]
    gone: frozenset[str] = frozenset()


class HookStore(Protocol):
    """Where hooks of the API are kept; their targets are encrypted there. One whose key is not given is read as broken, with
    a stand-in for its target. All raise HistoryUnavailable.
    """

    async def stored_hooks(self) -> StoredHooks: ...

    async def stored_hook(self, hook_id: str) -> StoredHook | None:
        """The one with this id, whatever its state."""
        ...

    async def revision(self) -> int:
        """The revision alone."""
        ...

    async def add_hook(self, hook: Hook, at: float, *, most: int | None = None) -> StoredHook:
        """Raises NameTaken where a stored hook that is not gone has the name, TooMany where `most` are stored."""
        ...

    async def replace_hook(self, hook: Hook, at: float, *, version: int, ends: Ends = ()) -> StoredHook:
        """Put it in place of the one with its id; raises Overtaken where that has another version by now, is being
        dropped or is gone, NameTaken as above.
        """
        ...

    async def delete_hook(self, hook_id: str, how: Deleting, at: float, *, version: int | None) -> StoredHook:
        """Move on to this state of being deleted; raises Overtaken. `version` None: whatever it is."""
        ...

    async def say(self, hook: str, change: Callable[[HookState], HookState]) -> HookState:
        """Store, in one step, what `change` makes of all that was said of a hook, the bridge's own pause included; where
        nothing was, it gets an empty state. It may be called twice.
        """
        ...


class NameTaken(Exception):
    """Another hook has this name."""


class Overtaken(Exception):
    """Somebody else changed it meanwhile, or it is gone."""


class TooMany(Exception):
    """As many hooks are stored as may be."""
