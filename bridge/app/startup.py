"""The start of the process: protection of its memory, waiting for dependencies, and pausing when they are lost."""

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
from bridge.pipeline.deliver import Delivering
from bridge.pipeline.recorder import Recorder
from bridge.telemetry import events

_SET_DUMPABLE = 4
"""The option PR_SET_DUMPABLE of prctl(2)."""


def keep_memory_private() -> None:
    """Disables core dumps, and on Linux the access of other processes of the same user to memory and environment.

    RLIMIT_CORE alone does not suffice: the kernel ignores it if a program collects dumps (core_pattern(5)). Scripts inherit the
    limit, but not the rest. root can still access everything.
    """
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)


# The start while dependencies are missing, or are lost at that moment.


log = structlog.get_logger(__name__)

T = TypeVar("T")

_STARTING_LOSSES = 10
_LOST_WAIT = 0.5


async def there(what: str, until: float, step: Callable[[], Awaitable[T]]) -> T:
    """Retries a step whose dependency may be missing, until that (monotonic) time."""
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
    """Retries a step on the broker once its connection is lost: a node that goes down does not end the start, since connections
    go on to the next node.
    """
    for _ in range(_STARTING_LOSSES):
        try:
            return await step()
        except BrokerUnavailable as error:
            log.warning("start.connection_lost", error=str(error))
            await asyncio.sleep(_LOST_WAIT)
    return await step()


# Outages of the broker or the database: stop consuming, return what has not started, wait, consume again.


class DependencyMonitor:
    """Checks once a second whether the dependencies of deliveries are available."""

    def __init__(
        self,
        sources: Sources,
        recorder: Recorder,
        publish: Link,
        delivering: Delivering,
        *,
        history_after: float,
        broker_after: float,
    ) -> None:
        """`history_after` and `broker_after`: seconds of unavailability that count as an outage."""
        self._sources = sources
        self._recorder = recorder
        self._publish = publish
        self._delivering = delivering
        self._history_after = history_after
        self._broker_after = broker_after
        self._publish_gone_since: float | None = None

    async def run(self) -> None:
        """Watches until cancelled."""
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
                await hand_back(self._delivering, "outage", park=False, spent=self._sources.spent)
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
