"""The heartbeat of the replicas on one database."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Sequence
from typing import Self

import structlog

from bridge.amqp.connection import Link
from bridge.amqp.topology import Topology
from bridge.core.errors import AlreadyRunning, BrokerRefused, BrokerUnavailable, HistoryUnavailable
from bridge.core.ports import UNSIGNED, Control
from bridge.core.records import Replica
from bridge.core.survey import Owner
from bridge.db.engine import SqlOwnership
from bridge.history.leases import SqlReplicas
from bridge.hooks.in_force import HooksInForce
from bridge.http.documents import ClosedDocument, PageDocument, UtcMoment
from bridge.http.input import PageQuery, page_by_key
from bridge.http.operation import Call, OperationGroup, reading
from bridge.settings.tree import Settings
from bridge.telemetry import events

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


class Replicas:
    """The other live replicas, as the database knows them."""

    def __init__(self, replicas: SqlReplicas, replica_id: str, *, alone: bool) -> None:
        """`replica_id` is this one; `alone`: there are no others."""
        self._replicas = replicas
        self._id = replica_id
        self._alone = alone

    async def others_have(self, revision: int, *, settled: bool = False) -> bool:
        """Returns whether each has activated this revision, and with `settled` has no older work in flight.

        Raises HistoryUnavailable.
        """
        return self._alone or all(
            (each.settled if settled else each.revision) >= revision
            for each in await self._replicas.replicas(ALIVE)
            if each.id != self._id
        )

    async def wait_for(self, revision: int) -> None:
        """Returns once each has activated this revision, at most after a second."""
        with contextlib.suppress(HistoryUnavailable):
            for _ in range(int(_PATIENCE / _POLL)):
                if await self.others_have(revision):
                    return
                await asyncio.sleep(_POLL)


class ReplicaHeartbeat:
    """Stores this replica's active revision every two seconds, and reconciles with newer ones."""

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


# The replicas of the bridge, over HTTP.


# The replicas of a bridge, as the API shows them.


class ReplicaDocument(ClosedDocument):
    """A process that consumes this bridge's sources."""

    id: str
    """Id of the process, new with every start."""
    host: str
    """Host name and process id."""
    targets: list[str]
    """Types of targets that it attempts; deliveries of other types stay in their lanes."""
    started_at: UtcMoment
    """Start of its process."""
    seen_at: UtcMoment
    """Time of its last heartbeat."""
    revision: int
    """Revision of its active hooks; it rises with every change of a hook."""

    @classmethod
    def of(cls, replica: Replica) -> Self:
        """The replica."""
        return cls.unchecked(replica, targets=replica.targets.split(",") if replica.targets else [])


class ReplicaRoutes(OperationGroup):
    """The read-only routes of replicas."""

    def __init__(self, replicas: SqlReplicas, alive: float) -> None:
        """Prepare the routes; `alive` is the maximum age in seconds of a listed replica's heartbeat."""
        self._replicas = replicas
        self._alive = alive

    @reading("replicas.list", "/v1/replicas", "List the running replicas")
    async def _list(self, call: Call[PageQuery, None]) -> PageDocument[ReplicaDocument]:
        alive = await self._replicas.replicas(self._alive)
        found, following = page_by_key(call.query, alive, lambda replica: replica.id)
        return PageDocument.of(map(ReplicaDocument.of, found), following)


# Ownership: one history for one prefix on one broker. A bridge that shares only one of the two with another is
# refused.
# With a SQLite history there is only one process: others with the same prefix are refused, too.


_LOCK_PATIENCE = 10.0
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
    """Detects bridges with this prefix on this broker and another history, which would take each other's messages."""

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
        """Announces this bridge and listens until cancelled; raises AlreadyRunning if another was there before."""
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
            events.process.error(
                "prefix_lock.shared",
                prefix=self._prefix,
                effect="each takes messages of the other, and neither history has everything",
                remedy="set another broker.prefix there, or the same storage.url",
            )
        elif not self._met.done():
            self._met.set_result(None)


class Ownership:
    """The exclusive queue that only one process with a SQLite history holds, claimed again after each reconnect."""

    def __init__(self, link: Link, topology: Topology, heartbeat: float) -> None:
        self._link = link
        self._topology = topology
        self._heartbeat = heartbeat
        self._queue = f"{topology.names.control}.sqlite"

    async def claim(self, patience: float = _LOCK_PATIENCE) -> None:
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
