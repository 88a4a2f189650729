"""Hooks are enabled, disabled, paused and resumed: those of the API in the database, those of the file by an overlay."""

from collections.abc import Callable
from dataclasses import replace

from bridge.admin.hooks import InForce
from bridge.admin.hooks_change import HookChanges, Make
from bridge.model.hook import Hook
from bridge.model.value import value
from bridge.ports.history import HookState
from bridge.ports.hooks import Ends, HookStore, StoredHook


@value(frozen=True, slots=True)
class _Switch:
    """What is said of a hook; None: nothing of that."""

    enabled: bool | None = None
    paused: bool | None = None
    reason: str = ""

    def of(self, hook: Hook) -> Hook:
        said = {"enabled": self.enabled, "paused": self.paused}
        return hook.model_copy(update={name: what for name, what in said.items() if what is not None})


class SwitchHooks:
    """Each says it again without harm. All give the hook's id and raise as HookChanges.change, and HistoryUnavailable."""

    def __init__(self, store: HookStore, in_force: InForce, now: Callable[[], float]) -> None:
        """`now` gives Unix seconds."""
        self._changes = HookChanges(store, in_force, now)
        self._store = store
        self._in_force = in_force
        self._now = now

    async def enable(self, which: str) -> str:
        """What matches from now on is delivered."""
        return await self._say(which, _Switch(enabled=True))

    async def disable(self, which: str) -> str:
        """What matches from now on is SKIPPED; what waits goes on waiting."""
        return await self._say(which, _Switch(enabled=False))

    async def pause(self, which: str, reason: str = "") -> str:
        """What matches from now on waits in the lane."""
        return await self._say(which, _Switch(paused=True, reason=reason))

    async def resume(self, which: str) -> str:
        """What waits is delivered; the bridge's own pause ends too."""
        return await self._say(which, _Switch(paused=False))

    async def _say(self, which: str, switch: _Switch) -> str:
        written = self._in_force.written.get(which)
        if written is not None:
            await self._overlay(written, switch)
            return written.id
        stored = await self._changes.stored(which)
        self._changes.check_readable(stored)
        await self._remember(stored.hook.id, switch)
        if switch.of(stored.hook) != stored.hook:
            stored = await self._changes.change(stored.hook.id, _made_by(switch), drains=True)
        else:
            await self._in_force.changed()
        return stored.hook.id

    async def _overlay(self, written: Hook, switch: _Switch) -> None:
        """What the file says already is not said again, so that the file is followed when it changes."""

        def overlaid(state: HookState) -> HookState:
            if switch.enabled is not None:
                state = replace(state, said_enabled=_unless(written.enabled, switch.enabled))
            if switch.paused is not None:
                state = replace(state, said_paused=_unless(written.paused, switch.paused))
            return self._told(state, switch)

        await self._store.say(written.id, overlaid)
        await self._in_force.changed()

    async def _remember(self, hook_id: str, switch: _Switch) -> None:
        """Why a hook of the API is paused; that it is stands in the hook itself."""
        if switch.paused is not None:
            await self._store.say(hook_id, lambda state: self._told(state, switch))

    def _told(self, state: HookState, switch: _Switch) -> HookState:
        """Why it is paused. The bridge's own pause stays beside somebody else's, and ends when it is resumed."""
        if switch.paused is None:
            return replace(state, at=self._now())
        own = state.paused and switch.paused
        reason = state.reason if own and not switch.reason else switch.reason
        return replace(state, paused=own, reason=reason, at=self._now())


def _made_by(switch: _Switch) -> Make:
    async def make(stored: StoredHook) -> tuple[Hook, Ends]:
        return switch.of(stored.hook), stored.ends

    return make


def _unless(written: bool, said: bool) -> bool | None:
    return None if written is said else said
