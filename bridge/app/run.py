"""The process: signals, the event loop, and the exit code."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import structlog
import uvloop

from bridge.app.lifecycle import Bridge
from bridge.app.memory import postpone_full_collections
from bridge.app.service_manager import ServiceManager
from bridge.app.startup import keep_memory_private
from bridge.core.budget import set_up_allocator
from bridge.hooks.reloading import Reloading, Written
from bridge.settings.tree import Settings
from bridge.telemetry import events

log = structlog.get_logger(__name__)

_SWITCH = 0.001
"""Seconds after which a thread has to release the interpreter lock; Python's default is 5 ms."""


def run(
    settings: Settings,
    written: Written,
    *,
    base: Path,
    served: frozenset[str] | None,
    patience: float = 0,
    early: Sequence[int] = (),
) -> None:
    """Runs a bridge until SIGTERM or SIGINT; returns after a clean stop.

    `written` is read again on SIGHUP; `early` has the signals received since it was read. The start waits `patience` seconds
    for broker and database. Raises a BridgeError, written for the operator, if the bridge cannot start or must not continue.
    """
    if not settings.limits.core_dumps:
        keep_memory_private()
    set_up_allocator()
    postpone_full_collections()
    # Threads parse and render large bodies; each makes the event loop wait for this interval, several times in a row.
    sys.setswitchinterval(_SWITCH)
    # uvloop saves a quarter of the CPU time of a delivery (bench/README.md).
    bridge = partial(Bridge, settings, written, base=base, served=served, patience=patience)
    uvloop.run(_serve(bridge, early, settings.limits.drain))


async def _serve(make: Callable[[], Bridge], early: Sequence[int], drain: float) -> None:
    bridge = make()
    manager = ServiceManager()
    stopped = _Signals(bridge.reloading, manager)
    alive = asyncio.create_task(manager.stay_alive(), name="signs of life")
    if early:
        bridge.reloading.soon()
    try:
        starting = asyncio.ensure_future(bridge.start())
        await asyncio.wait({starting, stopped.wanted}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
        else:
            await starting
            manager.ready()
            stopped.serving = True
            await asyncio.wait({bridge.failed, stopped.wanted}, return_when=asyncio.FIRST_COMPLETED)
        if stopped.wanted.done():
            events.stopping(stopped.name, drain)
    finally:
        manager.stopping()
        await bridge.stop()
        alive.cancel()
    if bridge.failed.done():
        await bridge.failed


class _Signals:
    """The signal handlers: SIGTERM and SIGINT stop in order, a second one ends at once; SIGHUP reloads the settings."""

    def __init__(self, reloading: Reloading, manager: ServiceManager) -> None:
        self._reloading, self._manager = reloading, manager
        loop = asyncio.get_running_loop()
        self.wanted: asyncio.Future[None] = loop.create_future()
        self.name = ""
        self.serving = False
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        with contextlib.suppress(AttributeError):  # Windows has no SIGHUP
            loop.add_signal_handler(signal.SIGHUP, self._reload)

    def _reload(self) -> None:
        reload = self._reloading.soon()
        if reload is not None and self.serving:
            self._manager.reloading()
            reload.add_done_callback(self._reloaded)

    def _reloaded(self, _: asyncio.Task[None]) -> None:
        if not self.wanted.done():  # systemd would take the bridge for running again
            self._manager.ready()

    def _stop(self, number: signal.Signals) -> None:
        if self.wanted.done():
            # Nothing is lost: the broker redelivers unsettled messages.
            os._exit(128 + number)
        self.name = number.name
        self.wanted.set_result(None)
