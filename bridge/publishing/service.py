"""The use case of publishing to a source: confirmed or refused at once, and once for each idempotency key."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import Any

import structlog
from sqlalchemy import Connection, delete, select, update

from bridge.core.base import value
from bridge.core.errors import BridgeError, HistoryUnavailable, PublishTooLarge
from bridge.core.event import Message, Source
from bridge.core.ports import Begun, Outgoing, Publisher
from bridge.db.admin_tables import idempotency
from bridge.db.engine import Store, Writes
from bridge.db.upserts import any_insert

log = structlog.get_logger(__name__)

_PATIENCE = 10.0
"""Seconds within which the broker has to confirm."""
_LARGE = 1_048_576
"""Bytes that are hashed in a thread."""


@value(frozen=True, slots=True)
class Wanted:
    """A message to publish; its `message_id` and `timestamp` may be missing."""

    source: str | None
    message: Message


@value(frozen=True, slots=True)
class Once:
    """An idempotency key, its owner, and the digest of the request."""

    key: str
    actor: str
    request: bytes


@value(frozen=True, slots=True)
class Published:
    """An accepted message; `replayed`: it was accepted by an earlier request, and not published again."""

    source: str
    queue: str
    message_id: str
    replayed: bool = False


class NoSuchSource(BridgeError):
    """The source of the message is unknown or ambiguous."""


class NotAccepted(BridgeError):
    """The broker does not accept the message now; nothing was accepted."""


class AnotherRequest(BridgeError):
    """The idempotency key was used for another request."""


class RequestInProgress(BridgeError):
    """A request with this idempotency key is in progress."""


class Publishing:
    """Publishes messages on behalf of a client."""

    def __init__(
        self,
        sources: Sequence[Source],
        publisher: Publisher,
        idempotency: "SqlIdempotency",
        new_id: Callable[[], str],
        *,
        patience: float = _PATIENCE,
    ) -> None:
        """`publisher` must fail fast; `patience`: seconds within which the broker has to confirm."""
        self._sources = {source.name: source for source in sources}
        self._publisher = publisher
        self._idempotency = idempotency
        self._new_id = new_id
        self._patience = patience

    async def publish(self, wanted: Wanted, once: Once | None = None) -> Published:
        """Publishes a message; returns once a queue holds it.

        Raises NoSuchSource, NotAccepted, PublishTooLarge; with `once` also AnotherRequest, UnderWay and HistoryUnavailable.
        """
        source = self._source(wanted.source)
        message_id = wanted.message.message_id or self._new_id()
        planned = Published(source.name, source.queue, message_id)
        if once is None:
            await self._publish(planned, wanted.message)
            return planned
        return await self._publish_once(planned, wanted.message, once)

    async def _publish_once(self, planned: Published, message: Message, once: Once) -> Published:
        key = _digest(once.actor.encode(), planned.source.encode(), once.key.encode())
        large = len(once.request) >= _LARGE
        request = await asyncio.to_thread(_digest, once.request) if large else _digest(once.request)
        begun = await self._idempotency.begin(key, request, _written(planned), time.time())
        match begun.state:
            case "other":
                raise AnotherRequest("this Idempotency-Key was used for another request")
            case "busy":
                raise RequestInProgress("a request with this Idempotency-Key is under way")
            case "done":
                return replace(_read(begun.answer), replayed=True)
            case "go":
                # The id of the first request: if that message did arrive, the second one is recognised by its id.
                first = _read(begun.answer)
                await self._settle(key, first, message)
                return first

    async def _settle(self, key: str, planned: Published, message: Message) -> None:
        try:
            await self._publish(planned, message)
        except BaseException:
            await self._remember(self._idempotency.failed, key)
            raise
        await self._remember(self._idempotency.done, key)

    async def _remember(self, tell: Callable[[str], Any], key: str) -> None:
        """Stores or releases the key. A failure is ignored: without the database the key is free again after a minute."""
        try:
            await tell(key)
        except HistoryUnavailable as error:
            log.warning("idempotency.not_stored", error=str(error))

    async def _publish(self, planned: Published, message: Message) -> None:
        outgoing = Outgoing.to_queue(planned.queue, planned.message_id, message)
        try:
            async with asyncio.timeout(self._patience):
                await self._publisher.publish(outgoing)
        except TimeoutError:
            raise NotAccepted(f"the broker did not confirm within {self._patience:g} s") from None
        except PublishTooLarge:
            raise
        except BridgeError as error:
            raise NotAccepted(str(error)) from error

    def _source(self, name: str | None) -> Source:
        names = ", ".join(sorted(self._sources))
        if name is not None:
            if name not in self._sources:
                raise NoSuchSource(f"there is no source {name!r}; there are: {names or 'none'}")
            return self._sources[name]
        if len(self._sources) != 1:
            raise NoSuchSource(f"say to which source: {names or 'there is none'}")
        return next(iter(self._sources.values()))


def _digest(*parts: bytes) -> str:
    """Returns the digest of all parts, each preceded by its length, so that different lists never have the same digest."""
    return sha256(b"".join(b"%d:%s" % (len(part), part) for part in parts)).hexdigest()


def _written(published: Published) -> str:
    return json.dumps([published.source, published.queue, published.message_id])


def _read(text: str) -> Published:
    fields: Mapping[str, Any] = dict(zip(("source", "queue", "message_id"), json.loads(text), strict=True))
    return Published(**fields)


# The store of idempotency keys.


KEPT = 86_400.0
"""Seconds for which a key is stored."""
ABANDONED = 60.0
"""Seconds after which a request in progress counts as aborted: a publish ends sooner in any case."""
_FAILED = 0
_DONE = 1


def _begin(connection: Connection, key: str, request: str, answer: str, at: float) -> Begun:
    """Reserve the key for the request with this digest and planned response; keys older than a day are deleted."""
    c = idempotency.c
    connection.execute(delete(idempotency).where(c.at < at - KEPT))
    made = connection.execute(
        any_insert(connection, idempotency)
        .values(key=key, request=request, status=None, answer=answer, at=at)
        .on_conflict_do_nothing(index_elements=[c.key])
    )
    if made.rowcount:
        return Begun("go", answer)
    row = connection.execute(select(idempotency).where(c.key == key).with_for_update()).mappings().one()
    if row["request"] != request:
        return Begun("other")
    if row["status"] == _DONE:
        return Begun("done", row["answer"])
    under_way = row["status"] is None and row["at"] > at - ABANDONED
    if under_way and row["answer"] != answer:  # the same response: this very call, run a second time
        return Begun("busy")
    connection.execute(update(idempotency).where(c.key == key).values(status=None, at=at))
    return Begun("go", row["answer"])


class SqlIdempotency(Store):
    """The store of idempotency keys. Each method raises HistoryUnavailable."""

    begin = Writes(_begin)

    async def done(self, key: str) -> None:
        await self.engine.write(partial(_end, key=key, status=_DONE))

    async def failed(self, key: str) -> None:
        await self.engine.write(partial(_end, key=key, status=_FAILED))


def _end(connection: Connection, key: str, status: int) -> None:
    connection.execute(update(idempotency).where(idempotency.c.key == key).values(status=status))
