"""The publisher of meta events to the hooks that receive them."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import orjson
import structlog

from bridge.core.event import OWN_EVENTS, Message
from bridge.core.hook import Hook
from bridge.core.ports import Outgoing, Publisher
from bridge.meta.words import Facts, MetaType, RateLimiter
from bridge.pipeline.background import BackgroundQueue
from bridge.pipeline.hook_table import HookTable
from bridge.routing.table import listens
from bridge.wire.authenticity import Authenticator

log = structlog.get_logger(__name__)

_APP_ID = "amqp-bridge"


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
