"""The heartbeat of the replicas on one database."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Sequence

import structlog

from bridge.core.errors import HistoryUnavailable
from bridge.core.jobs import Replica
from bridge.history.leases import SqlReplicas
from bridge.hooks.in_force import HooksInForce

log = structlog.get_logger(__name__)

ALIVE = 15.0
"""Maximum age in seconds of the heartbeat of a live replica."""
_LOOKED_BACK = 86_400.0
"""Seconds for which the database keeps a replica that did not shut down gracefully."""
_EVERY = 2.0
_LOOK = 0.1
_POLL = 0.02
_PATIENCE = 1.0
_LAST_WORD = 2.0


class ReplicaHeartbeat:
    """The heartbeat of this replica: every two seconds it stores its active revision, and reconciles with newer
    ones.
    """

    def __init__(
        self, replicas: SqlReplicas, in_force: HooksInForce, replica_id: str, targets: Sequence[str]
    ) -> None:
        """Prepare the heartbeat; `targets` are the types that this process attempts."""
        self._replicas = replicas
        self._in_force = in_force
        self._id = replica_id
        self._host = f"{socket.gethostname()}:{os.getpid()}"
        self._targets = ",".join(targets)
        self._started_at = time.time()
        self._told = (-1, -1)

    async def run(self) -> None:
        """Store the heartbeat until cancelled; immediately when the active hooks changed."""
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

    async def begin(self, *, alone: bool) -> bool:
        """Register this replica; returns whether an earlier process ended without a graceful shutdown.

        `alone`: all other registered replicas are gone. Raises HistoryUnavailable.
        """
        others = [each for each in await self._replicas.replicas(_LOOKED_BACK) if each.id != self._id]
        living = {each.id for each in await self._replicas.replicas(ALIVE)}
        await self._replicas.seen(self._now())
        if alone:
            for each in others:
                await self._replicas.leave(each.id)
            return bool(others)
        return any(each.id not in living or _gone(each.host) for each in others)

    async def leave(self) -> None:
        """Unregister this replica."""
        with contextlib.suppress(HistoryUnavailable, TimeoutError):
            async with asyncio.timeout(_LAST_WORD):
                await self._replicas.leave(self._id)

    async def all_have(self, revision: int, *, settled: bool = False) -> bool:
        """Returns whether every live replica has activated this revision, and with `settled` has no older in-flight
        work.

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
        """Return once every live replica has activated this revision, at most after a second."""
        with contextlib.suppress(HistoryUnavailable):
            for _ in range(int(_PATIENCE / _POLL)):
                if await self.all_have(revision):
                    return
                await asyncio.sleep(_POLL)

    def _state(self) -> tuple[int, int]:
        return self._in_force.revision, self._in_force.settled

    def _now(self) -> Replica:
        return Replica(self._id, self._host, self._targets, self._started_at, time.time(), *self._state())

    async def _tell(self) -> None:
        state = self._state()
        try:
            await self._replicas.seen(self._now())
            self._told = state
        except HistoryUnavailable as error:
            log.debug("replica.not_told", error=str(error))
            await asyncio.sleep(1)


def _gone(host: str) -> bool:
    """Returns whether it was a process of this host that has ended; in containers the process id is often the same."""
    name, _, number = host.rpartition(":")
    if name != socket.gethostname() or not number.isdecimal():
        return False
    try:
        if int(number) != os.getpid():
            os.kill(int(number), 0)
            return False
    except ProcessLookupError:
        return True
    except OSError:
        return False  # the process of another user
    return True
