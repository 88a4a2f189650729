"""Hooks made, changed and removed while the bridge runs.

Here stands what the use cases ask of the process that serves hooks, and what they raise. The use cases themselves:
hooks_manage (create, replace, patch, delete), hooks_switch (enable, disable, pause, resume), hooks_rotate (secrets);
documents are made by look_hooks.
"""

from collections.abc import Mapping
from typing import Literal, Protocol

from bridge.model.hook import Hook
from bridge.model.value import value
from bridge.pipeline.table import HookTable
from bridge.ports.history import HookState
from bridge.ports.hooks import StoredHook
from bridge.ports.statistics import HookHealth


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
        """Why hooks cannot be served as they are written, by id."""
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
