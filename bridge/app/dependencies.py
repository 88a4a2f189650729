"""Publishing or the database gone for long: stop consuming, hand back what was not started, wait, come back."""

import asyncio
import time

import structlog

from bridge.amqp.connection import Link
from bridge.app.consumption import Sources
from bridge.pipeline.backpressure import hand_back
from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.recorder import Recorder

log = structlog.get_logger(__name__)


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
