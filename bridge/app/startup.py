"""The start of the process: protection of its memory, and the connections to its dependencies."""

import asyncio
import contextlib
import ctypes
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import structlog

from bridge.app.connections import Links
from bridge.app.parts import Resources
from bridge.cluster.replicas import own_history
from bridge.core.base import Backoff
from bridge.core.errors import BrokerUnavailable, HistoryUnavailable
from bridge.core.ports import DatabaseLogin
from bridge.db.engine import SqlOwnership
from bridge.history.history import SqlHistory, open_history
from bridge.hooks.store import message_keys, open_hook_store
from bridge.settings.tree import Settings, Traces
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from bridge.telemetry.tracing import Tracing

_SET_DUMPABLE = 4
"""The option PR_SET_DUMPABLE of prctl(2)."""


def keep_memory_private() -> None:
    """Disables core dumps, and on Linux the access of other processes of the same user to memory and environment.

    RLIMIT_CORE alone does not suffice: the kernel ignores it if a program collects dumps (core_pattern(5)). Scripts inherit the
    limit, but not the rest. root can still access everything.
    """
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)


# Dependencies that are missing at the start, or are lost at that moment.


log = structlog.get_logger(__name__)

T = TypeVar("T")

_STARTING_LOSSES = 10
_LOST_WAIT = 0.5


async def there(what: str, until: float, step: Callable[[], Awaitable[T]]) -> T:
    """Retries a step whose dependency may be missing, until that (monotonic) time."""
    backoff = Backoff(0.5)
    while True:
        try:
            return await step()
        except (BrokerUnavailable, HistoryUnavailable) as error:
            left = until - time.monotonic()
            if left <= 0:
                raise
            events.waiting_for(what, str(error), left)
        await backoff.pause()


async def despite_losses(step: Callable[[], Awaitable[T]]) -> T:
    """Retries a step on the broker once its connection is lost: a node that goes down does not end the start, since connections
    go on to the next node.
    """
    for _ in range(_STARTING_LOSSES):
        try:
            return await step()
        except BrokerUnavailable as error:
            log.warning("start.connection_lost", error=str(error))
            await asyncio.sleep(_LOST_WAIT)
    return await step()


def _tracing(settings: Traces) -> "Tracing | None":
    if not settings.enabled:
        return None
    # Imported late: it takes time and memory, and is not everywhere installed.
    from bridge.telemetry.tracing import Tracing

    return Tracing(settings)


# What a bridge needs before it can be made: an open database that belongs to it, and open connections to the brokers.


class Dependencies:
    """The database and the brokers."""

    def __init__(self, settings: Settings, links: Links, login: DatabaseLogin, patience: float) -> None:
        """`patience`: seconds that the start waits for them."""
        self._settings, self.links, self._login = settings, links, login
        self._until = time.monotonic() + patience
        self._history: SqlHistory | None = None
        self._history_id = ""

    async def resources(
        self, metrics: Metrics, base: Path, served: frozenset[str] | None, replica_id: str
    ) -> Resources:
        """Returns what the parts are made from; raises HistoryUnavailable. Only after the start."""
        assert self._history is not None
        engine = self._history.engine
        store = await open_hook_store(self._settings, engine)
        keys = await message_keys(self._settings, engine)
        return Resources(
            *(self._settings, self._history, self._history_id, self.links, metrics, store, keys),
            base=base,
            served=served,
            replica_id=replica_id,
            tracing=_tracing(self._settings.telemetry.traces),
        )

    async def open_database(self) -> None:
        """Opens the database and migrates its tables; raises BridgeError."""
        storage = self._settings.storage
        opening = partial(
            open_history,
            storage.url.get_secret_value(),
            storage.tls,
            login=self._login,
            alone=storage.for_one_process,
        )
        self._history = await there("database", self._until, opening)

    async def connect(self) -> None:
        """Connects to the brokers; raises BridgeError."""
        for link in self.links.all():
            await there(f"broker ({link.role})", self._until, link.connect_once)
        for link in self.links.spread(len(self._settings.sources) + 1):  # one for meta events
            await there(f"broker ({link.role})", self._until, link.connect_once)

    async def stay_connected(self) -> None:
        """Connects again whenever a connection is lost, until cancelled."""
        await asyncio.gather(*(link.run() for link in self.links.all()))

    async def own_history(self) -> None:
        """Checks that the database belongs to this bridge; raises SettingsError if it does not."""
        assert self._history is not None
        claim = partial(own_history, self.links.topology, SqlOwnership(self._history.engine), self._settings)
        self._history_id = await despite_losses(claim)

    async def disconnect(self) -> None:
        """Closes the connections to the brokers."""
        await asyncio.gather(*(link.close() for link in self.links.all()))

    async def close_database(self) -> None:
        """Closes the database."""
        if self._history is not None:
            await self._history.close()
