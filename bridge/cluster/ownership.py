"""Ownership: one history for one prefix on one broker. A bridge that shares only one of the two with another is
refused.

With a SQLite history there is only one process: others with the same prefix are refused, too.
"""

import asyncio
import time

import structlog

from bridge.amqp.connection import Link
from bridge.amqp.topology import Topology
from bridge.core.errors import AlreadyRunning, BrokerRefused, BrokerUnavailable
from bridge.core.ports import UNSIGNED, Control
from bridge.core.survey import Owner
from bridge.db.ownership import SqlOwnership
from bridge.settings.tree import Settings
from bridge.telemetry import events

log = structlog.get_logger(__name__)

_PATIENCE = 10.0
"""Seconds until the broker notices that a killed process is gone."""
_NEWCOMER = 10.0
"""Seconds after its start in which a bridge yields to another; later it only logs a warning."""
_ANSWER_EVERY = 1.0
_SHARED = 90.0
"""Seconds for which another bridge counts as present: it announces itself every 30."""


async def own_history(link: Link, ownership: SqlOwnership, settings: Settings) -> str:
    """Register this bridge as the owner of the history, and return the history's id.

    Raises SettingsError if the history belongs to another bridge.
    """
    owner = Owner(settings.broker.prefix, *await link.place())
    return await ownership.claim(owner, settings.storage.take_over)


class Neighbours:
    """The detection of bridges with the same prefix on the same broker and another history, which would consume
    each other's messages.
    """

    def __init__(self, control: Control, prefix: str, history: str) -> None:
        self._control = control
        self._prefix = prefix
        self._history = history
        self._begun = time.monotonic()
        self._heard_at = self._answered_at = float("-inf")
        self._met: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        control.listen("history", self._heard)

    @property
    def problem(self) -> str:
        """Returns the error text while another bridge is present; else empty."""
        if time.monotonic() - self._heard_at > _SHARED:
            return ""
        return f"another bridge serves the prefix {self._prefix!r} on this broker with another history"

    async def run(self) -> None:
        """Announce this bridge and listen until cancelled. Raises AlreadyRunning if another bridge was there
        before.
        """
        await self._met
        raise AlreadyRunning(
            f"another bridge serves the prefix {self._prefix!r} on this broker with another history (storage.url): they "
            "would take each other's messages; set another broker.prefix, or the same storage.url for replicas of one"
        )

    def _heard(self, about: str) -> None:
        """Handle an announcement; "" at the start, after each reconnect and every 30 s."""
        if not about:
            self._control.mention("history", f"{self._history} hello")
            return
        history, _, said = about.partition(" ")
        word = said.removesuffix(UNSIGNED).strip()
        signed = not said.endswith(UNSIGNED)
        if history == self._history or word not in {"hello", "here"}:
            return
        now = time.monotonic()
        if word == "hello":
            # The other bridge may yield: the reply to the next announcement shows whether it did.
            if now - self._answered_at > _ANSWER_EVERY:
                self._answered_at = now
                self._control.mention("history", f"{self._history} here")
        elif not signed or now - self._begun >= _NEWCOMER:
            # An announcement without a valid code may be forged: it is logged, and stops nothing.
            self._heard_at = now
            events.prefix_shared(self._prefix)
        elif not self._met.done():
            self._met.set_result(None)


class Ownership:
    """The exclusive queue that only one process with a SQLite history holds, claimed again after each reconnect."""

    def __init__(self, link: Link, topology: Topology, heartbeat: float) -> None:
        self._link = link
        self._topology = topology
        self._heartbeat = heartbeat
        self._queue = f"{topology.names.control}.sqlite"

    async def claim(self, patience: float = _PATIENCE) -> None:
        """Claim the queue. Raises AlreadyRunning if another process holds it after `patience` seconds.

        Without the permission to declare the queue the check is impossible: the operator must ensure a single process.
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
                    "prefix_lock.waiting", effect="another process serves this prefix, or was killed just now"
                )
            await asyncio.sleep(0.25)

    async def _claimed(self) -> bool:
        try:
            return await self._topology.claim(self._queue)
        except BrokerRefused as error:
            effect = "a second process with a SQLite history would not be noticed: see that there is one only"
            log.warning("prefix_lock.unavailable", error=str(error), effect=effect)
            return True

    async def keep(self) -> None:
        """Claim the queue on every new connection, until cancelled. Raises AlreadyRunning if another process was first.

        After a half-open connection the broker keeps the previous claim for up to two heartbeats.
        """
        while True:
            connection = await self._link.connection()
            try:
                await self.claim(4 * self._heartbeat)
            except BrokerUnavailable as error:
                log.warning("prefix_lock.claim_failed", error=str(error))
                await asyncio.sleep(0.5)
            else:
                await asyncio.wait([connection.closing])
