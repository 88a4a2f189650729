"""A SQLite history serves one process: the others on the same broker prefix are refused."""

import asyncio

import structlog

from bridge.broker.link import Link
from bridge.broker.topology import Topology
from bridge.model.errors import AlreadyRunning, BrokerRefused, BrokerUnavailable

log = structlog.get_logger(__name__)

_PATIENCE = 10.0
"""Seconds: the broker may take a moment to notice that a killed process is gone."""


class Ownership:
    """Holds an exclusive queue on the broker, and claims it again after each reconnect."""

    def __init__(self, link: Link, topology: Topology, heartbeat: float) -> None:
        self._link = link
        self._topology = topology
        self._heartbeat = heartbeat
        self._queue = f"{topology.names.control}.sqlite"

    async def claim(self, patience: float = _PATIENCE) -> None:
        """Become the only process; raises AlreadyRunning where another one is after `patience` seconds.

        Without the right to make the queue nobody can tell: then it is left to whoever starts processes.
        """
        deadline = asyncio.get_running_loop().time() + patience
        told = False
        while not await self._claimed():
            if asyncio.get_running_loop().time() > deadline:
                raise AlreadyRunning(
                    f"another process serves the prefix {self._topology.names.prefix!r} on this broker with a SQLite "
                    "history; stop it, set another broker.prefix, or use PostgreSQL (storage.url) for several replicas"
                )
            if not told:
                told = True
                log.warning(
                    "ownership.waiting", effect="another process serves this prefix, or was killed just now"
                )
            await asyncio.sleep(0.25)

    async def _claimed(self) -> bool:
        try:
            return await self._topology.claim(self._queue)
        except BrokerRefused as error:
            effect = "a second process with a SQLite history would not be noticed: see that there is one only"
            log.warning("ownership.not_to_be_had", error=str(error), effect=effect)
            return True

    async def keep(self) -> None:
        """Claim anew on every new connection, until cancelled; raises AlreadyRunning if another one came first.

        After a half-open loss the broker still holds our own claim, for up to two of its heartbeats.
        """
        while True:
            connection = await self._link.connection()
            try:
                await self.claim(4 * self._heartbeat)
            except BrokerUnavailable as error:
                log.warning("ownership.claim_failed", error=str(error))
                await asyncio.sleep(0.5)
            else:
                await asyncio.wait([connection.closing])
