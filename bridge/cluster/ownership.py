"""One history, one prefix on one broker: a bridge that has but one of them in common with another is refused.

Of a SQLite history's bridges there is one only: others on the same prefix are refused, too.
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
"""Seconds: the broker may take a moment to notice that a killed process is gone."""
_NEWCOMER = 10.0
"""Seconds from its start in which a bridge gives way to others; later it only tells of them."""
_ANSWER_EVERY = 1.0
_SHARED = 90.0
"""Seconds for which another bridge counts as there: it says so every 30."""


async def own_history(link: Link, ownership: SqlOwnership, settings: Settings) -> str:
    """Have the history for this bridge on the broker that the link leads to, and give the history's id.

    Raises SettingsError where it belongs to another bridge.
    """
    owner = Owner(settings.broker.prefix, *await link.place())
    return await ownership.claim(owner, settings.storage.take_over)


class Neighbours:
    """Bridges with the same prefix on the same broker and another history: they would take each other's messages."""

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
        """What is wrong as long as one is there; else empty."""
        if time.monotonic() - self._heard_at > _SHARED:
            return ""
        return f"another bridge serves the prefix {self._prefix!r} on this broker with another history"

    async def run(self) -> None:
        """Until cancelled; raises AlreadyRunning where one was there before."""
        await self._met
        raise AlreadyRunning(
            f"another bridge serves the prefix {self._prefix!r} on this broker with another history (storage.url): they "
            "would take each other's messages; set another broker.prefix, or the same storage.url for replicas of one"
        )

    def _heard(self, about: str) -> None:
        """With "" at the start, after each reconnect and every 30 s."""
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
            # It may give way: whether it stayed, the answer to our own next word tells.
            if now - self._answered_at > _ANSWER_EVERY:
                self._answered_at = now
                self._control.mention("history", f"{self._history} here")
        elif not signed or now - self._begun >= _NEWCOMER:
            # A word that anybody may have forged is told of, and ends nothing.
            self._heard_at = now
            events.prefix_shared(self._prefix)
        elif not self._met.done():
            self._met.set_result(None)


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
        """Claim anew on every new connection, until cancelled; raises AlreadyRunning if another one came first.

        After a half-open loss the broker still holds our own claim, for up to two of its heartbeats.
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
