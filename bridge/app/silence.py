"""Consumers that the broker has forgotten: connected and subscribed, messages wait, and nothing comes."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from bridge.broker.lane_consumers import ChannelLanes
from bridge.broker.topology import Names, Topology
from bridge.model.errors import BridgeError
from bridge.pipeline.table import HookTable
from bridge.ports.budget import Budget

log = structlog.get_logger(__name__)

_LOOKS = 3
_LONGEST = 20
"""Times the bound: what stays silent (a standby on a queue with a single active consumer) is not renewed all the time."""


class Watched(Protocol):
    """Consumers of some kind."""

    def idle(self) -> Mapping[str, float]:
        """By queue: a number that changes when something comes; those left out are busy, or are not consumed."""
        ...

    async def renew(self, queue: str) -> None:
        """Consume the queue anew, with a fresh tag."""
        ...


class LaneSilence:
    """The lanes of hooks that hold nothing of them, although something waits there."""

    def __init__(self, table: HookTable, lanes: ChannelLanes, names: Names) -> None:
        self._table = table
        self._lanes = lanes
        self._names = names

    def idle(self) -> Mapping[str, float]:
        """See `Watched`."""
        return {
            self._names.lane(runner.hook.id): 0.0
            for runner in self._table
            if runner.lane.depth > 0
            and not (runner.running or runner.lane.waiting or runner.lane.later)
            and self._lanes.up(runner.hook.id)
        }

    async def renew(self, queue: str) -> None:
        """See `Watched`."""
        await self._lanes.renew(queue.removeprefix(self._names.lane("")))


@dataclass(slots=True)
class _Quiet:
    """A queue of which nothing comes, since when, and how long that is put up with."""

    count: float
    since: float
    patience: float


class Silence:
    """Compares what comes with what waits, and consumes anew where nothing comes for too long."""

    def __init__(
        self, watched: tuple[Watched, ...], topology: Topology, budget: Budget, *, after: float
    ) -> None:
        """`after`: seconds in which nothing came although messages were ready, and the `budget` had room for them."""
        self._watched = watched
        self._budget = budget
        self._topology = topology
        self._after = after
        self._quiet: dict[str, _Quiet] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(self._after / _LOOKS)
            if self._budget.crowded:
                self._quiet = {}  # nothing is read: that is why nothing comes
                continue
            try:
                async with asyncio.timeout(5):
                    await self._look(time.monotonic())
            except (BridgeError, TimeoutError) as error:
                log.debug("silence.not_seen", error=str(error))

    async def _look(self, now: float) -> None:
        idle = {queue: (count, kind) for kind in self._watched for queue, count in kind.idle().items()}
        ready = await self._topology.depths(list(idle))
        self._quiet = {
            queue: self._still_quiet(queue, count, now)
            for queue, (count, _) in idle.items()
            if ready.get(queue)
        }
        for queue, quiet in self._quiet.items():
            if now - quiet.since >= quiet.patience:
                log.warning(
                    "consumer.silent", queue=queue, ready=ready[queue], seconds=round(now - quiet.since, 1)
                )
                quiet.since = now
                quiet.patience = min(2 * quiet.patience, _LONGEST * self._after)
                await idle[queue][1].renew(queue)

    def _still_quiet(self, queue: str, count: float, now: float) -> _Quiet:
        known = self._quiet.get(queue)
        return known if known is not None and known.count == count else _Quiet(count, now, self._after)
