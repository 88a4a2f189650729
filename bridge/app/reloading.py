"""The hooks of the file, read anew while the bridge runs: on SIGHUP, through the API, or whenever the file changes."""

import asyncio
from typing import Protocol

import structlog

from bridge.admin.reloading import Reloaded
from bridge.admin.secret_ends import secret_ends
from bridge.app.in_force import HooksInForce
from bridge.model.errors import BridgeError, SettingsError
from bridge.ports.control import Control
from bridge.ports.survey import FoundPolicies
from bridge.settings.logins import renewed, renewed_proxies
from bridge.settings.tree import Settings
from bridge.telemetry import events

log = structlog.get_logger(__name__)

_LOOK_EVERY = 1.0


class Written(Protocol):
    """Where the settings were written."""

    def read(self) -> Settings:
        """Read them anew; raises SettingsError where they cannot be used."""
        ...

    def logins(self) -> Settings:
        """Those of brokers and database as they are now, whatever is wrong elsewhere; raises SettingsError."""
        ...

    def changed(self) -> bool:
        """Whether they are others than those read last, and are so for long enough that nobody is still writing."""
        ...

    def policies(self) -> FoundPolicies:
        """What the management API that they name tells; it may take seconds."""
        ...


class Reloading:
    """One reload after the other; reading thousands of hooks takes seconds, so it is done in a thread."""

    def __init__(self, settings: Settings, written: Written) -> None:
        """`settings`: those that the bridge was started with."""
        self._settings = settings
        self._written = written
        self._hooks = settings.hooks
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_force: HooksInForce | None = None
        self._control: Control | None = None
        self._replica = ""
        self._asked_early = False
        _warn(settings)

    def serve(self, in_force: HooksInForce, control: Control, replica: str) -> None:
        """Reload from now on, and at once where somebody asked for it during the start; `replica`: the id of this one."""
        self._in_force, self._control, self._replica = in_force, control, replica
        control.listen("reload", self._heard)
        if self._asked_early:
            self.soon()

    async def reload(self) -> Reloaded:
        """Put the hooks that are written now in force here; raises SettingsError, with nothing changed."""
        assert self._in_force is not None
        async with self._turn:
            settings = await asyncio.to_thread(self._written.read)
            _warn(settings)
            change = self._in_force.rewrite(settings.hooks)
            self._hooks = settings.hooks
            broken = {hook.id: hook.fault.reason for hook in settings.hooks if hook.fault is not None}
            events.reloaded(
                len(settings.hooks), len(change.added), len(change.removed), len(change.changed), len(broken)
            )
            return Reloaded(change.added, change.removed, change.changed, broken, self._ignored(settings))

    async def reload_everywhere(self) -> Reloaded:
        """As `reload`, and have the other replicas do the same with what is written where they are."""
        reloaded = await self.reload()
        assert self._control is not None
        await self._control.tell("reload", self._replica)
        return reloaded

    def soon(self) -> None:
        """Reload in the background, and log what comes of it."""
        if self._in_force is None:
            self._asked_early = True
            return
        task = asyncio.create_task(self._logged(), name="reload")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def watch(self) -> None:
        """Reload whenever the file changes, until cancelled.

        What is looked at is where its path leads, so that a folder of links that are swapped (a ConfigMap) is followed.
        """
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            if await asyncio.to_thread(self._written.changed):
                await self._logged()

    async def watch_proxies(self) -> None:
        """Put logins to proxies that are written anew in force, and nothing else, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            if await asyncio.to_thread(self._written.changed):
                await self._renew_proxies()

    async def _renew_proxies(self) -> None:
        assert self._in_force is not None
        async with self._turn:
            try:
                settings = await asyncio.to_thread(self._written.read)
                hooks = renewed_proxies(self._hooks, settings.hooks)
                if hooks != self._hooks:
                    self._in_force.rewrite(hooks)
                    self._hooks = hooks
            except SettingsError as error:
                events.logins_not_read([str(problem) for problem in error.problems])

    def _heard(self, about: str) -> None:
        """Somebody asked another replica; "" is said at intervals, whatever happened."""
        if about not in {"", self._replica}:
            self.soon()

    async def _logged(self) -> None:
        try:
            await self.reload()
        except SettingsError as error:
            events.reload_refused([str(problem) for problem in error.problems])
        except BridgeError as error:
            events.reload_refused([str(error)])

    def _ignored(self, settings: Settings) -> list[str]:
        """Only hooks and logins are read anew; nobody should believe that more was."""
        here = renewed(self._settings, settings)
        sections = [name for name in Settings.model_fields if name != "hooks"]
        changed = [name for name in sections if getattr(settings, name) != getattr(here, name)]
        if changed:
            events.needs_restart(changed)
        return changed


def _warn(settings: Settings) -> None:
    for found in secret_ends(settings):
        events.hardly_meant(found.path, found.message)
