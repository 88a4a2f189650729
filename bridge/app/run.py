"""The process: signals, the event loop, and the exit code."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import structlog
import uvloop

from bridge.app.lifecycle import Bridge
from bridge.app.privacy import keep_memory_private
from bridge.model.errors import BridgeError, SettingsError
from bridge.settings.tree import Settings
from bridge.telemetry import events

log = structlog.get_logger(__name__)


def run(
    settings: Settings, *, base: Path, served: frozenset[str] | None, reload: Callable[[], Settings]
) -> None:
    """Run a bridge until SIGTERM or SIGINT; returns after a clean stop.

    `reload` reads the settings anew, checked, when SIGHUP comes. Raises a BridgeError, written for the
    operator, when the bridge cannot start or must not go on.
    """
    if not settings.limits.core_dumps:
        keep_memory_private()
    # uvloop takes a quarter off the CPU time of a delivery (bench/README.md).
    uvloop.run(_serve(settings, base, served, reload))


async def _serve(
    settings: Settings, base: Path, served: frozenset[str] | None, reload: Callable[[], Settings]
) -> None:
    bridge = Bridge(settings, base=base, served=served)
    stopped = _Signals(bridge, settings, reload)
    try:
        starting = asyncio.ensure_future(bridge.start())
        await asyncio.wait({starting, stopped.wanted}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        else:
            await starting
            await asyncio.wait({bridge.failed, stopped.wanted}, return_when=asyncio.FIRST_COMPLETED)
        if stopped.wanted.done():
            events.stopping(stopped.name, settings.limits.drain)
    finally:
        await bridge.stop()
    if bridge.failed.done():
        await bridge.failed


class _Signals:
    """SIGTERM and SIGINT stop in order, a second one ends at once; SIGHUP reads the file anew."""

    def __init__(self, bridge: Bridge, settings: Settings, reload: Callable[[], Settings]) -> None:
        self._bridge = bridge
        self._settings = settings
        self._reload = reload
        loop = asyncio.get_running_loop()
        self.wanted: asyncio.Future[None] = loop.create_future()
        self.name = ""
        self._reloading: asyncio.Future[None] | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        with contextlib.suppress(AttributeError):  # there is no SIGHUP on Windows
            loop.add_signal_handler(signal.SIGHUP, self._start_reload)

    def _stop(self, number: signal.Signals) -> None:
        if self.wanted.done():
            # Nothing is lost: what is unsettled the broker hands out again.
            os._exit(128 + number)
        self.name = number.name
        self.wanted.set_result(None)

    def _tell_ignored(self, settings: Settings) -> None:
        """Only hooks are read anew; nobody should believe that more was."""
        sections = [name for name in Settings.model_fields if name != "hooks"]
        changed = [name for name in sections if getattr(settings, name) != getattr(self._settings, name)]
        if changed:
            events.needs_restart(changed)

    def _start_reload(self) -> None:
        self._reloading = asyncio.ensure_future(self._hang_up(self._reloading))

    async def _hang_up(self, earlier: asyncio.Future[None] | None) -> None:
        """One reload after the other; reading thousands of hooks takes seconds, so it is done in a thread."""
        if earlier is not None:
            await asyncio.wait([earlier])
        try:
            settings = await asyncio.to_thread(self._reload)
            self._tell_ignored(settings)
            self._bridge.reload(settings.hooks)
        except SettingsError as error:
            events.reload_refused([str(problem) for problem in error.problems])
        except BridgeError as error:
            events.reload_refused([str(error)])
