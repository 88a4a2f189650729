"""Removes what the history has kept for long enough, a little at a time."""

import asyncio
import time

import structlog

from bridge.model.errors import HistoryUnavailable
from bridge.ports.guards import Claims
from bridge.ports.history import History
from bridge.ports.jobs import Leases
from bridge.ports.statistics import Statistics

log = structlog.get_logger(__name__)

_LEASE = 60.0
"""Seconds for which the work stays with a replica beyond its next round."""
_RENEW = 20.0
_BETWEEN = 0.05
"""Seconds: group commits go through in between."""


class Retention:
    """Prunes in small transactions, so that deliveries go on meanwhile; of several replicas one does it."""

    def __init__(
        self,
        history: History,
        statistics: Statistics,
        claims: Claims,
        leases: Leases,
        replica_id: str,
        *,
        keep: float,
        keep_sums: float,
        every: float,
        batch: int,
    ) -> None:
        """`keep`: seconds since the final status; `keep_sums`: seconds since the day; `every`: seconds between two looks;
        `batch`: events, or rows of sums or claims, at once.
        """
        self._history = history
        self._leases = leases
        self._replica_id = replica_id
        self._held_at = 0.0
        self._statistics = statistics
        self._claims = claims
        self._keep = keep
        self._keep_sums = keep_sums
        self._every = every
        self._batch = batch

    async def run(self) -> None:
        """Prune until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            started = time.monotonic()
            try:
                removed = await self._round() if await self._is_mine() else 0
            except HistoryUnavailable as error:
                log.warning("retention.failed", error=str(error))
            else:
                if removed:
                    log.info(
                        "retention.removed", events=removed, seconds=round(time.monotonic() - started, 1)
                    )

    async def _is_mine(self) -> bool:
        """Whoever has it keeps it while it lives, so that no other comes between two of its rounds."""
        self._held_at = time.monotonic()
        return await self._leases.lease("retention", self._replica_id, self._every + _LEASE)

    async def _round(self) -> int:
        total = 0
        while removed := await self._history.prune(time.time() - self._keep, self._batch):
            total += removed
            if not await self._is_still_mine():
                return total
            await asyncio.sleep(_BETWEEN)
        while await self._statistics.prune_statistics(time.time(), self._keep_sums, self._batch):
            if not await self._is_still_mine():
                break
            await asyncio.sleep(_BETWEEN)
        while await self._claims.forget_claims(await self._claims.now(), self._batch):
            if not await self._is_still_mine():
                break
            await asyncio.sleep(_BETWEEN)
        return total

    async def _is_still_mine(self) -> bool:
        return time.monotonic() - self._held_at <= _RENEW or await self._is_mine()
