"""The states that systemd is told of: ready, reloading, stopping, and that the event loop runs (sd_notify(3)).

Without NOTIFY_SOCKET nothing is sent. A datagram that cannot be sent is dropped: systemd may be restarting itself.
"""

import asyncio
import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress

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
