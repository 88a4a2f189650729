"""Keeping the process within its memory, and giving back what it does not need any more."""

import asyncio
import time

import structlog

from bridge.app.allocator import libc
from bridge.app.sources import Sources
from bridge.pipeline.service import LaneService
from bridge.ports.budget import Budget
from bridge.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

_LOOK_EVERY = 0.25

_DOUBLE_AFTER = 20.0
"""Seconds for which a process that began with little has to live before it may hold twice as much."""

_PEAK = 16_777_216
"""Bytes that must have come and gone before it is worth while to look for free memory."""
_REST = 2.0
"""Seconds between two looks."""


class Memory:
    """Fits the prefetch of all consumers to what is free, and tells what is held."""

    def __init__(self, budget: Budget, sources: Sources, lanes: LaneService, metrics: Metrics) -> None:
        self._budget = budget
        self._sources = sources
        self._lanes = lanes
        self._metrics = metrics
        self._widen_at = time.monotonic() + _DOUBLE_AFTER
        self._peak = 0
        self._look_at = 0.0
        self._trim = libc("malloc_trim")
        metrics.memory_budget.value = budget.whole

    async def run(self) -> None:
        """Keep to it until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            self._tell()
            self._widen()
            await self._let_go()
            self._lanes.fit()
            self._sources.fit()

    def _tell(self) -> None:
        for holder, octets in self._budget.by_holder.items():
            self._metrics.memory_held[holder].value = octets

    def _widen(self) -> None:
        budget = self._budget
        if budget.limit < budget.whole and time.monotonic() > self._widen_at:
            budget.limit_to(min(budget.whole, budget.limit * 2))
            self._widen_at = time.monotonic() + _DOUBLE_AFTER

    async def _let_go(self) -> None:
        """Give free memory back to the system after a peak: the allocator keeps it, and pods are judged by it."""
        held = self._budget.held
        self._peak = max(self._peak, held)
        now = time.monotonic()
        if self._trim is None or now < self._look_at or self._peak - held < max(_PEAK, self._peak // 2):
            return
        self._peak, self._look_at = held, now + _REST
        await asyncio.to_thread(self._trim, 0)
