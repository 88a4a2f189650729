"""Runs replays: each by one replica, and by another one where that is gone."""

import asyncio
import contextlib
import time

import structlog

from bridge.admin.replays import ENDED
from bridge.app.replay_work import ReplayWork
from bridge.model.errors import HistoryUnavailable
from bridge.model.replay import ReplayStatus
from bridge.ports.backoff import Backoff
from bridge.ports.control import Control
from bridge.ports.jobs import Leases, Replays

log = structlog.get_logger(__name__)

_LOOK_EVERY = 2.0
_LEASE_SECONDS = 6.0
"""Losing it by a slow database harms nothing: nobody moves a replay on from where somebody else did."""
_AT_ONCE = 8
"""Replays that one process runs."""
_LONGEST_ERROR = 500


class ReplayTask:
    """One for each process."""

    def __init__(
        self,
        replays: Replays,
        leases: Leases,
        control: Control,
        work: ReplayWork,
        *,
        replica: str,
        lease_seconds: float = _LEASE_SECONDS,
    ) -> None:
        """`replica`: the id of this process; `lease_seconds`: how long after its death another one goes on."""
        self._replays = replays
        self._leases = leases
        self._work = work
        self._replica = replica
        self._lease_seconds = lease_seconds
        self._wanted = asyncio.Event()
        self._running: set[str] = set()
        control.listen("jobs", self._heard)

    async def run(self) -> None:
        """Look for replays and run them until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._wanted.clear()
                try:
                    await self._look(tasks)
                except HistoryUnavailable as error:
                    log.info("replay.not_read", error=str(error))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_EVERY):
                        await self._wanted.wait()

    def _heard(self, about: str) -> None:
        """A word about one delivery is none about replays."""
        if not about:
            self._wanted.set()

    async def _look(self, tasks: asyncio.TaskGroup) -> None:
        for replay in await self._replays.unfinished():
            if replay.id in self._running or len(self._running) >= _AT_ONCE:
                continue
            if await self._leases.lease(_lease(replay.id), self._replica, self._lease_seconds):
                self._running.add(replay.id)
                tasks.create_task(self._run(replay.id), name=f"replay {replay.id}")

    async def _run(self, replay_id: str) -> None:
        """Until it has ended, or somebody else has it; never raises."""
        keeping = asyncio.create_task(self._keep(replay_id))
        backoff = Backoff()
        try:
            while not keeping.done():
                try:
                    if await self._gone_on(replay_id, keeping):
                        break
                except HistoryUnavailable as error:
                    log.info("replay.waits", replay=replay_id, error=str(error))
                except Exception as error:  # noqa: BLE001 - a bug must cost no more than this replay
                    await self._give_up(replay_id, error)
                await backoff.pause()
        finally:
            keeping.cancel()
            with contextlib.suppress(HistoryUnavailable):
                await self._leases.release(_lease(replay_id), self._replica)
            self._running.discard(replay_id)

    async def _gone_on(self, replay_id: str, keeping: asyncio.Task[None]) -> bool:
        """Whether it has ended."""
        replay = await self._replays.replay(replay_id)
        if replay is None or replay.status in ENDED:
            return True
        log.info("replay.goes_on", replay=replay_id, done=replay.done, total=replay.total)
        replay = await self._work.go(replay, keeping.done)
        if replay.left or replay.status in ENDED:
            return replay.status in ENDED
        if await self._replays.end_replay(replay_id, ReplayStatus.DONE, time.time()):
            log.info("replay.done", replay=replay_id, done=replay.done, left_out=replay.left_out)
        return True

    async def _give_up(self, replay_id: str, error: Exception) -> None:
        told = f"{type(error).__name__}: {error}"[:_LONGEST_ERROR]
        log.error("replay.failed", replay=replay_id, error=told)
        with contextlib.suppress(HistoryUnavailable):
            await self._replays.end_replay(replay_id, ReplayStatus.FAILED, time.time(), told)

    async def _keep(self, replay_id: str) -> None:
        """Prolong the lease; returns once somebody else has it."""
        while True:
            await asyncio.sleep(self._lease_seconds / 3)
            with contextlib.suppress(HistoryUnavailable):
                if not await self._leases.lease(_lease(replay_id), self._replica, self._lease_seconds):
                    return


def _lease(replay_id: str) -> str:
    return f"replay {replay_id}"
