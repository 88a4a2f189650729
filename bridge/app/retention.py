"""Removes what the history has kept for long enough, a little at a time."""

import asyncio
import time

import structlog

from bridge.model.errors import HistoryUnavailable
from bridge.ports.history import History

log = structlog.get_logger(__name__)


class Retention:
    """Prunes in small transactions, so that deliveries go on meanwhile."""

    def __init__(self, history: History, *, keep: float, every: float, batch: int) -> None:
        """`keep`: seconds since the final status; `every`: seconds between two looks; `batch`: events at once."""
        self._history = history
        self._keep = keep
        self._every = every
        self._batch = batch

    async def run(self) -> None:
        """Prune until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            started = time.monotonic()
            try:
                removed = await self._round()
            except HistoryUnavailable as error:
                log.warning("retention.failed", error=str(error))
            else:
                if removed:
                    log.info(
                        "retention.removed", events=removed, seconds=round(time.monotonic() - started, 1)
                    )

    async def _round(self) -> int:
        total = 0
        while removed := await self._history.prune(time.time() - self._keep, self._batch):
            total += removed
            await asyncio.sleep(0.05)  # let group commits through in between
        return total
