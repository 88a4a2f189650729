"""Keeps the secrets that the process holds in its memory from leaving it by the back door."""

import asyncio
import contextlib
import ctypes
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from bridge.amqp.connection import Link
from bridge.app.consumption import Sources
from bridge.core.base import Backoff
from bridge.core.errors import BrokerUnavailable, HistoryUnavailable
from bridge.pipeline.backpressure import hand_back
from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.recorder import Recorder
from bridge.telemetry import events

_SET_DUMPABLE = 4
"""PR_SET_DUMPABLE of prctl(2)."""


def keep_memory_private() -> None:
    """No core dump from now on, and on Linux no look into memory and environment for processes of the same user.

    RLIMIT_CORE alone would not do: the kernel does not look at it where a program collects dumps (core_pattern(5)).
    Scripts inherit the limit, and not the rest. root looks into everything still.
    """
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)


# A start that waits for what is not there yet, or goes at this very moment.


log = structlog.get_logger(__name__)

T = TypeVar("T")

_STARTING_LOSSES = 10
_LOST_WAIT = 0.5


async def there(what: str, until: float, step: Callable[[], Awaitable[T]]) -> T:
    """Do what needs something that may not be there yet, again and again until that (monotonic) time."""
    backoff = Backoff(0.5)
    while True:
        try:
            return await step()
        except (BrokerUnavailable, HistoryUnavailable) as error:
            left = until - time.monotonic()
            if left <= 0:
                raise
            events.waiting_for(what, str(error), left)
        await backoff.pause()


async def despite_losses(step: Callable[[], Awaitable[T]]) -> T:
    """Have it done on the broker. A node that goes at this very moment does not end the start: the links go on to the next."""
    for _ in range(_STARTING_LOSSES):
        try:
            return await step()
        except BrokerUnavailable as error:
            log.warning("start.connection_lost", error=str(error))
            await asyncio.sleep(_LOST_WAIT)
    return await step()


# Publishing or the database gone for long: stop consuming, hand back what was not started, wait, come back.


class DependencyMonitor:
    """Looks once a second whether what deliveries need is there."""

    def __init__(
        self,
        sources: Sources,
        recorder: Recorder,
        publish: Link,
        table: HookTable,
        *,
        history_after: float,
        broker_after: float,
    ) -> None:
        """`history_after` and `broker_after`: seconds without them that make an outage."""
        self._sources = sources
        self._recorder = recorder
        self._publish = publish
        self._table = table
        self._history_after = history_after
        self._broker_after = broker_after
        self._publish_gone_since: float | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(1)
            missing = await self._missing(time.monotonic())
            if missing and self._sources.consuming:
                log.error(
                    "dependency.unavailable",
                    missing=missing,
                    effect="sources are not consumed until it is over",
                )
                await self._sources.leave()
                hand_back(self._table, None, "outage", self._sources.spent)
            elif not missing and not self._sources.consuming:
                log.info("dependency.restored")
                self._sources.resume()

    async def _missing(self, now: float) -> str:
        gone = not self._publish.up or await self._publish.blocked()
        self._publish_gone_since = (self._publish_gone_since or now) if gone else None
        down_since = self._recorder.down_since
        if down_since is not None and (not self._sources.consuming or now - down_since > self._history_after):
            return "history"
        since = self._publish_gone_since
        if since is not None and (not self._sources.consuming or now - since > self._broker_after):
            return "publishing"
        return ""
