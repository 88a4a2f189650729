"""The process: signals, the event loop, and the exit code."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, MutableMapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import structlog
import uvloop

from bridge.app.build import make_bridge
from bridge.app.lifecycle import Bridge
from bridge.app.monitors import postpone_full_collections
from bridge.core.budget import keep_memory_private, set_up_allocator
from bridge.hooks.reloading import ReloadRequests, SettingsOrigin
from bridge.settings.tree import Settings
from bridge.telemetry import events

log = structlog.get_logger(__name__)

_SWITCH = 0.001
"""Seconds after which a thread has to release the interpreter lock; Python's default is 5 ms."""


def run(
    settings: Settings,
    written: SettingsOrigin,
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
    make = partial(make_bridge, settings, written, base=base, served=served, patience=patience)
    uvloop.run(_serve(make, early, settings.limits.drain))


async def _serve(make: Callable[[ReloadRequests], Bridge], early: Sequence[int], drain: float) -> None:
    manager, reloads = ServiceManager(), ReloadRequests()
    bridge = make(reloads)
    stopped = _Signals(reloads, manager)
    alive = asyncio.create_task(manager.stay_alive(), name="signs of life")
    if early:
        reloads.request()
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


# The states that systemd is told of: ready, reloading, stopping, and that the event loop runs (sd_notify(3)). Without
# NOTIFY_SOCKET nothing is sent. A datagram that cannot be sent is dropped: systemd may be restarting itself.


_SHARE = 3
"""Signs of life within one WATCHDOG_USEC, so that one may be late."""


class ServiceManager:
    """Sends the states of this process to the service manager that started it."""

    def __init__(self, env: MutableMapping[str, str] = os.environ) -> None:
        """Takes its variables out of `env`: the programs of scripts must not speak for the bridge."""
        self._address = env.pop("NOTIFY_SOCKET", "")
        microseconds, pid = env.pop("WATCHDOG_USEC", ""), env.pop("WATCHDOG_PID", "")
        meant = pid in {"", str(os.getpid())} and microseconds.isdecimal()
        self._interval = int(microseconds) / 1e6 / _SHARE if meant else 0.0

    def ready(self) -> None:
        """Tells that the start, or a reload, is complete."""
        self._send("READY=1\nSTATUS=Consuming and delivering")

    def reloading(self) -> None:
        """Tells that the settings are being read again; `ready` ends it."""
        moment = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={moment}\nSTATUS=Reading the settings")

    def stopping(self) -> None:
        """Tells that the stop has begun."""
        self._send("STOPPING=1\nSTATUS=Finishing what is under way")

    async def stay_alive(self) -> None:
        """Sends signs of life from the event loop until cancelled: a loop that hangs sends none, and is restarted."""
        while self._address and self._interval:
            self._send("WATCHDOG=1")
            await asyncio.sleep(self._interval)

    def _send(self, state: str) -> None:
        if not self._address:
            return
        # A name that begins with @ is one of the abstract namespace of Linux.
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(state.encode(), address)


# Signals.


class _Signals:
    """The signal handlers: SIGTERM and SIGINT stop in order, a second one ends at once; SIGHUP reloads the settings."""

    def __init__(self, reloads: ReloadRequests, manager: ServiceManager) -> None:
        self._reloads, self._manager = reloads, manager
        loop = asyncio.get_running_loop()
        self.wanted: asyncio.Future[None] = loop.create_future()
        self.name = ""
        self.serving = False
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        with contextlib.suppress(AttributeError):  # Windows has no SIGHUP
            loop.add_signal_handler(signal.SIGHUP, self._reload)

    def _reload(self) -> None:
        done = self._reloads.request()
        if self.serving:
            self._manager.reloading()
            done.add_done_callback(self._reloaded)

    def _reloaded(self, _: asyncio.Future[None]) -> None:
        if not self.wanted.done():  # systemd would take the bridge for running again
            self._manager.ready()

    def _stop(self, number: signal.Signals) -> None:
        if self.wanted.done():
            # Nothing is lost: the broker redelivers unsettled messages.
            os._exit(128 + number)
        self.name = number.name
        self.wanted.set_result(None)
