"""The use cases of the quarantine: requeue messages to their queues, or drop them."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from typing import Any

from bridge.codings.inflating import plain_message
from bridge.core.base import value
from bridge.core.errors import BridgeError, BrokerRefused, PublishTooLarge
from bridge.core.event import Message, Received, Source
from bridge.core.ports import Outgoing, Publisher
from bridge.core.records import KnownQuarantined, QuarantineFilter
from bridge.formats.decoder import Decoder
from bridge.quarantine.store import SqlQuarantine
from bridge.wire.copies import FORGED, INLET, REQUEUED

LANES = "lanes"
"""The pseudo-source of copies that could not be handled."""
_AT_ONCE = 100
_DROPPED_AT_ONCE = 500
_LONGEST = 20.0
"""Maximum seconds of one call for many messages, since a client waits for the response."""


class NoWayBack(BridgeError):
    """The message cannot be requeued; the text says why."""


@value(frozen=True, slots=True)
class Correction:
    """The changes to a message; None and absent headers mean unchanged, a header of None is removed."""

    body: bytes | None = None
    type: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    headers: Mapping[str, Any] = field(default_factory=dict)

    def of(self, message: Message) -> Message:
        """Returns the message with the changes."""
        if self.body is not None:
            message = plain_message(message, self.body)
        given = {
            name: text
            for name in ("type", "content_type", "content_encoding")
            if (text := getattr(self, name)) is not None
        }
        headers = {**message.headers, **self.headers}
        if self.type is not None and isinstance(mark := headers.get(INLET), Mapping):
            headers[INLET] = {**mark, "type": self.type}  # the type of an inlet takes precedence
        kept = {name: told for name, told in headers.items() if told is not None or name not in self.headers}
        return replace(message, headers=kept, **given)


AS_IT_CAME = Correction()


@value(frozen=True, slots=True)
class PutBack:
    """A message that was requeued, or would be: then with the types of its events, and its fault."""

    id: str
    source: str
    queue: str
    event_types: tuple[str, ...] | None = None
    fault: str | None = None


@value(frozen=True, slots=True)
class RequeueResult:
    """The result for many messages: the number processed, those that stay by reason, and whether there are more."""

    done: int
    stay: int
    why: str
    more: bool


class Requeuing:
    """Requeues and drops quarantined messages on behalf of a person."""

    def __init__(
        self,
        quarantine: SqlQuarantine,
        sources: Sequence[Source],
        publisher: Publisher,
        decoders: Mapping[str, Decoder],
    ) -> None:
        """`publisher` publishes for callers that wait; `decoders` has one for each consumed source, by name."""
        self._decoders = decoders
        self.store = quarantine
        self._sources = {source.name: source for source in sources}
        self._publisher = publisher
        self._under_way: set[str] = set()

    async def rehearse(self, quarantined_id: str, correction: Correction) -> PutBack | None:
        """Returns how the source would decode it, changing nothing; raises as `requeue`, but no broker errors."""
        known = await self.store.message(quarantined_id)
        if known is None:
            return None
        source = self._source(known)
        message = replace(correction.of(known.message), exchange="", routing_key=source.queue)
        found = self._decoders[source.name].decode(message, new_id=lambda: known.id, received_at=time.time())
        return PutBack(known.id, source.name, source.queue, *_made(found))

    async def requeue(self, quarantined_id: str, correction: Correction = AS_IT_CAME) -> PutBack | None:
        """Publishes the message to its source's queue, with confirm, then deletes it here; returns None if it does not exist.

        After a crash in between it is also still here: it is never lost, and may be published twice. Raises NoWayBack,
        BrokerRefused, PublishFailed, HistoryUnavailable.
        """
        known = await self.store.message(quarantined_id)
        if known is None:
            return None
        source = self._source(known)
        with self._alone(known.id):
            await self._publish(known, correction.of(known.message), source)
            await self.store.drop([known.id])
        return PutBack(known.id, source.name, source.queue)

    async def drop(self, quarantined_id: str) -> bool:
        """Deletes the message; returns False if it does not exist."""
        return await self.store.drop([quarantined_id]) > 0

    async def requeue_all(self, which: QuarantineFilter) -> RequeueResult:
        """Requeues the matching messages, oldest first; messages quarantined meanwhile are not included.

        Raises PublishFailed if the broker accepts none now, HistoryUnavailable.
        """
        done = stay = 0
        why = behind = ""
        which = _until_now(which)
        started = time.monotonic()
        while ids := await self.store.ids(which, behind, _AT_ONCE):
            for each in ids:
                if time.monotonic() - started > _LONGEST:
                    return RequeueResult(done, stay, why, more=True)
                try:
                    done += await self.requeue(each) is not None
                except (NoWayBack, BrokerRefused) as error:
                    stay, why = stay + 1, why or str(error)
            behind = ids[-1]
        return RequeueResult(done, stay, why, more=False)

    async def drop_all(self, which: QuarantineFilter) -> RequeueResult:
        """Deletes the matching messages. Raises HistoryUnavailable."""
        which = _until_now(which)
        done = 0
        started = time.monotonic()
        while ids := await self.store.ids(which, "", _DROPPED_AT_ONCE):
            if time.monotonic() - started > _LONGEST:
                return RequeueResult(done, 0, "", more=True)
            done += await self.store.drop(ids)
        return RequeueResult(done, 0, "", more=False)

    def _source(self, known: KnownQuarantined) -> Source:
        if known.reason == FORGED:
            raise NoWayBack(
                "it is forged: no bridge with this history wrote it, so no source gets it back; "
                "find out who may publish to the bridge's own queues, then drop it"
            )
        if known.source == LANES:
            raise NoWayBack("it comes from a lane: start its delivery anew instead")
        source = self._sources.get(known.source)
        if source is None:
            raise NoWayBack(f"its source {known.source!r} is not there any more")
        return source

    async def _publish(self, known: KnownQuarantined, message: Message, source: Source) -> None:
        # Without an id the client library would generate one: this one is the same on a second publish.
        message_id = message.message_id or known.id
        # With this mark its key is not claimed again: another event of its message may hold it. Without `dedupe` it stays as it
        # came.
        if source.dedupe is not None:
            message = replace(message, headers={**message.headers, REQUEUED: True})
        try:
            await self._publisher.publish(Outgoing.to_queue(source.queue, message_id, message))
        except PublishTooLarge as error:
            raise NoWayBack(f"it cannot be published: {error}") from error

    @contextmanager
    def _alone(self, quarantined_id: str) -> Iterator[None]:
        if quarantined_id in self._under_way:
            raise NoWayBack("it is on its way already")
        self._under_way.add(quarantined_id)
        try:
            yield
        finally:
            self._under_way.discard(quarantined_id)


def _made(received: Received) -> tuple[tuple[str, ...], str | None]:
    fault = next((f"{each.why.reason}: {each.why.detail}" for each in received.refused), None)
    return tuple(event.type for event in received.events), fault


def _until_now(which: QuarantineFilter) -> QuarantineFilter:
    now = time.time()
    return replace(which, until=now if which.until is None else min(which.until, now))
