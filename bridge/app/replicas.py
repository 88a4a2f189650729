"""The replicas on one database: each tells that it lives, and sees who else does."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Sequence

import structlog

from bridge.app.in_force import HooksInForce
from bridge.model.errors import HistoryUnavailable
from bridge.ports.jobs import Replica, Replicas

log = structlog.get_logger(__name__)

ALIVE = 15.0
"""Seconds within which a replica must have been seen to count."""
_EVERY = 2.0
_LOOK = 0.1
_POLL = 0.02
_PATIENCE = 1.0
_LAST_WORD = 2.0


class Presence:
    """Writes down every two seconds what is in force here, and looks whether there is something newer."""

    def __init__(
        self, replicas: Replicas, in_force: HooksInForce, replica_id: str, targets: Sequence[str]
    ) -> None:
        """`targets`: the types that this process attempts."""
        self._replicas = replicas
        self._in_force = in_force
        self._id = replica_id
        self._host = f"{socket.gethostname()}:{os.getpid()}"
        self._targets = ",".join(targets)
        self._started_at = time.time()
        self._told = (-1, -1)

    async def run(self) -> None:
        """Tell until cancelled; at once when what is in force here has changed."""
        told_at = -_EVERY
        while True:
            now = time.monotonic()
            if now - told_at >= _EVERY or self._told != self._state():
                told_at = now
                await self._tell()
                self._in_force.heard("")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._in_force.news.wait()
            self._in_force.news.clear()

    async def leave(self) -> None:
        """Be there no longer."""
        with contextlib.suppress(HistoryUnavailable, TimeoutError):
            async with asyncio.timeout(_LAST_WORD):
                await self._replicas.leave(self._id)

    async def all_have(self, revision: int, *, settled: bool = False) -> bool:
        """Whether every replica that lives has this revision in force, and with `settled` nothing under way of before.

        Raises HistoryUnavailable.
        """
        mine = self._state()
        if (mine[1] if settled else mine[0]) < revision:
            return False
        return all(
            (each.settled if settled else each.revision) >= revision
            for each in await self._replicas.replicas(ALIVE)
            if each.id != self._id
        )

    async def wait_for_all(self, revision: int) -> None:
        """Return once every replica that lives has this revision in force, or has had a second for it."""
        with contextlib.suppress(HistoryUnavailable):
            for _ in range(int(_PATIENCE / _POLL)):
                if await self.all_have(revision):
                    return
                await asyncio.sleep(_POLL)

    def _state(self) -> tuple[int, int]:
        return self._in_force.revision, self._in_force.settled

    async def _tell(self) -> None:
        revision, settled = state = self._state()
        replica = Replica(
            self._id, self._host, self._targets, self._started_at, time.time(), revision, settled
        )
        try:
            await self._replicas.seen(replica)
            self._told = state
        except HistoryUnavailable as error:
            log.debug("replica.not_told", error=str(error))
            await asyncio.sleep(1)
