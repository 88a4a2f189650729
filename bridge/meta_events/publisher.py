"""The publisher of meta events to the hooks that receive them."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial

import orjson
import structlog

from bridge.core.base import Backoff
from bridge.core.errors import BridgeError
from bridge.core.event import OWN_EVENTS, Message
from bridge.core.hook import Hook
from bridge.core.ports import Outgoing, Publisher
from bridge.meta.words import Facts, MetaType, RateLimiter
from bridge.pipeline.hook_table import HookTable
from bridge.routing.table import listens
from bridge.wire.authenticity import Authenticator

log = structlog.get_logger(__name__)

_APP_ID = "amqp-bridge"
_MOST = 1000
"""That wait at once; beyond, the oldest is given up."""


class BackgroundQueue:
    """What was asked for is done in the order it came; what fails with a BridgeError is tried again."""

    def __init__(self, name: str) -> None:
        """`name` is what the log calls it."""
        self._name = name
        self._waiting: deque[Callable[[], Awaitable[None]]] = deque()
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have it done soon."""
        if len(self._waiting) >= _MOST:
            self._waiting.popleft()
            log.error("background_task.dropped", errands=self._name, effect=f"more than {_MOST} wait")
        self._waiting.append(work)
        self._idle.clear()
        self._arrived.set()

    async def run(self) -> None:
        """Do it all, until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                await self._done(self._waiting.popleft())
            self._idle.set()

    async def drained(self) -> None:
        """Return once all that was asked for is done."""
        await self._idle.wait()

    async def _done(self, work: Callable[[], Awaitable[None]]) -> None:
        backoff = Backoff(0.5)
        while True:
            try:
                await work()
            except BridgeError as error:
                log.warning("background_task.failed", errands=self._name, error=str(error))
                await backoff.pause()
            except Exception:
                # A bug in one piece of work must cost neither the others nor the bridge.
                log.exception("background_task.internal_error", errands=self._name)
                return
            else:
                return


class MetaEventPublisher:
    """The port Herald on the queue of the bridge's own events."""

    def __init__(
        self,
        publisher: Publisher,
        queue: str,
        table: HookTable,
        errands: BackgroundQueue,
        *,
        new_id: Callable[[], str],
        authenticator: Authenticator,
    ) -> None:
        """Prepare the publisher. `errands` run `tell` in the background; `authenticator` signs the messages."""
        self._publisher = publisher
        self._queue = queue
        self._table = table
        self._errands = errands
        self._new_id = new_id
        self._authenticator = authenticator
        self._bound = RateLimiter()

    def tell(self, kind: MetaType, about: Hook, facts: Facts, *, by_person: bool) -> None:
        if not by_person and listens(about, OWN_EVENTS):
            return
        if self._anybody_listens():
            kept_back = self._bound.take((kind, about.id), time.monotonic())
            if kept_back is None:
                log.info("meta_event.kept_back", type=str(kind), hook=about.id)
                return
            told = {**facts, "kept_back": kept_back} if kept_back else facts
            self._errands.add(partial(self._publish, self._message(kind, told)))

    async def publish(self, kind: MetaType, facts: Facts, about: Hook | None = None) -> None:
        """Publish and return after the broker's confirm, or at once if no hook receives it. Raises BridgeError.

        For findings of a periodic check, which repeats the event if this fails.
        """
        if self._anybody_listens() and not (about is not None and listens(about, OWN_EVENTS)):
            await self._publish(self._message(kind, facts))

    def _anybody_listens(self) -> bool:
        """Returns whether a hook receives meta events; otherwise the queue would grow without a consumer."""
        return self._table.routing.is_named(OWN_EVENTS)

    def _message(self, kind: MetaType, facts: Facts) -> Outgoing:
        now = datetime.now(UTC)
        body = orjson.dumps({**facts, "time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z")})
        like = Message(body, content_type="application/json", app_id=_APP_ID, type=str(kind), timestamp=now)
        headers = self._authenticator.sign({}, like, body)
        return Outgoing("", self._queue, self._new_id(), body, headers, like)

    async def _publish(self, message: Outgoing) -> None:
        await self._publisher.publish(message)
