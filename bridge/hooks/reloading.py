"""The reload of the hooks of the file at run time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import structlog

from bridge.checks.configuration import secret_ends
from bridge.core.access import Role
from bridge.core.base import value
from bridge.core.errors import BridgeError, SettingsError
from bridge.core.ports import Control
from bridge.core.survey import FoundPolicies
from bridge.hooks.api import hook_problems
from bridge.hooks.documents import ReloadedDocument
from bridge.hooks.in_force import HooksInForce
from bridge.http.input import Query
from bridge.http.operation import Call, Operation, OperationGroup, Reply
from bridge.settings.loading import renewed, renewed_proxies
from bridge.settings.tree import Settings
from bridge.telemetry import events


@value(frozen=True, slots=True)
class Reloaded:
    """The result of a reload, by hook id: `broken` with reasons; changed sections that need a restart."""

    added: Sequence[str]
    removed: Sequence[str]
    changed: Sequence[str]
    broken: Mapping[str, str]
    needs_restart: Sequence[str]


# The hooks of the file, reloaded at run time: on SIGHUP, through the API, or when the file changes.


log = structlog.get_logger(__name__)

_LOOK_EVERY = 1.0


class SettingsOrigin(Protocol):
    """The origin of the settings."""

    def read(self) -> Settings:
        """Returns the settings, read again; raises SettingsError if they cannot be used."""

    def logins(self) -> Settings:
        """Returns the present credentials of brokers and database, even if other settings are invalid; raises SettingsError."""

    def changed(self) -> bool:
        """Returns whether the settings differ from those last read, and no write seems to be in progress."""

    def policies(self) -> FoundPolicies:
        """Returns the policies that the management API in the settings reports; may take seconds."""


class ReloadRequests:
    """Requests of reloads, which may come before the bridge can reload; requests during a reload cause one more."""

    def __init__(self) -> None:
        self._wanted = asyncio.Event()
        self._done: asyncio.Future[None] = asyncio.Future()

    def request(self) -> asyncio.Future[None]:
        """Requests a reload as soon as possible; returns what is done when it has ended."""
        self._wanted.set()
        return self._done

    async def next(self) -> asyncio.Future[None]:
        """Waits for a request; the caller ends the returned future after the reload."""
        await self._wanted.wait()
        self._wanted.clear()
        done, self._done = self._done, asyncio.Future()
        return done


class Reloading:
    """Reloads one at a time, in a thread: reading thousands of hooks takes seconds."""

    def __init__(
        self,
        settings: Settings,
        written: SettingsOrigin,
        requests: ReloadRequests,
        in_force: HooksInForce,
        *,
        control: Control,
        replica: str,
    ) -> None:
        """`settings` are those with which the bridge was started; `replica`: the id of this one."""
        self._settings = settings
        self._written = written
        self._requests = requests
        self._hooks = settings.hooks
        self._turn = asyncio.Lock()
        self._in_force, self._control, self._replica = in_force, control, replica
        control.listen("reload", self._heard)

    async def run(self) -> None:
        """Reloads on request, and logs the result, until cancelled."""
        while True:
            done = await self._requests.next()
            await self._logged()
            done.set_result(None)

    async def reload(self) -> Reloaded:
        """Activates the hooks of the file here; raises SettingsError, with nothing changed."""
        async with self._turn:
            settings = await asyncio.to_thread(self._written.read)
            warn_of_secret_ends(settings)
            change = self._in_force.rewrite(settings.hooks)
            self._hooks = settings.hooks
            broken = {hook.id: hook.fault.reason for hook in settings.hooks if hook.fault is not None}
            events.process.info(
                "config.reloaded",
                hooks=len(settings.hooks),
                added=len(change.added),
                removed=len(change.removed),
                changed=len(change.changed),
                broken=len(broken),
            )
            return Reloaded(change.added, change.removed, change.changed, broken, self._ignored(settings))

    async def reload_everywhere(self) -> Reloaded:
        """Reloads here, and makes the other replicas reload their own files."""
        reloaded = await self.reload()
        await self._control.tell("reload", self._replica)
        return reloaded

    async def watch(self) -> None:
        """Reloads whenever the file changes, until cancelled.

        The path is resolved on each check, so that replaced symbolic links (a ConfigMap) are noticed.
        """
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            if await asyncio.to_thread(self._written.changed):
                await self._logged()

    async def watch_proxies(self) -> None:
        """Activates changed credentials of proxies, and nothing else, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            if await asyncio.to_thread(self._written.changed):
                await self._renew_proxies()

    async def _renew_proxies(self) -> None:
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
        """Handles the request of another replica; "" comes at intervals and requests nothing."""
        if about not in {"", self._replica}:
            self._requests.request()

    async def _logged(self) -> None:
        try:
            await self.reload()
        except SettingsError as error:
            events.process.error("config.refused", problems=[str(problem) for problem in error.problems])
        except BridgeError as error:
            events.process.error("config.refused", problems=[str(error)])

    def _ignored(self, settings: Settings) -> list[str]:
        """Returns the changed sections that a reload ignores: it reads hooks and credentials only."""
        here = renewed(self._settings, settings)
        sections = [name for name in Settings.model_fields if name != "hooks"]
        changed = [name for name in sections if getattr(settings, name) != getattr(here, name)]
        if changed:
            events.process.warning("config.needs_restart", changed=changed, effect="in force after a restart")
        return changed


def warn_of_secret_ends(settings: Settings) -> None:
    """Logs secrets that end with a blank or line break, which is hardly meant."""
    for found in secret_ends(settings):
        events.process.warning("config.warning", path=found.path, warning=found.message)


# The operation that reloads the hooks of the file.


class ReloadRoutes(OperationGroup):
    """The operation that does what SIGHUP does, and returns the result."""

    def __init__(self, reload: Callable[[], Awaitable[Reloaded]]) -> None:
        """`reload` raises SettingsError if the file cannot be used."""
        self._reload = reload

    @Operation(
        name="hooks.reload",
        method="POST",
        path="/v1/reload",
        summary="Reload the hooks of the file on every replica",
        description="The answer tells of the replica that was asked; the others read what is written where they "
        "are. 422: the file cannot be used, and nothing was changed. A hook that has a problem does not hinder "
        "the others: it stands in `broken`.",
        role=Role.OPERATOR,
        answers={200: ReloadedDocument},
        problems=hook_problems(lambda _: ""),
        refusals=frozenset({422}),
    )
    async def _run(self, _: Call[Query, None]) -> Reply:
        done = await self._reload()
        document = ReloadedDocument.unchecked(done)
        changed = {"id": "file", **document.model_dump(include={"added", "removed", "changed"})}
        return Reply(document=document, changed=changed)
