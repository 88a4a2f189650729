"""Messages that could not be handled: put back into their queues, or dropped."""

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
from bridge.core.records import KnownQuarantined, Page, QuarantineFilter
from bridge.formats.decoder import Decoder
from bridge.quarantine.store import SqlQuarantine
from bridge.wire.copies import INLET, REQUEUED

LANES = "lanes"
"""What stands for the source of copies that could not be handled."""
_AT_ONCE = 100
_DROPPED_AT_ONCE = 500
_LONGEST = 20.0
"""Seconds that one call for many works; whoever asked waits for the answer."""


class NoWayBack(BridgeError):
    """It cannot go back to where it came from; the text says why."""


@value(frozen=True, slots=True)
class Correction:
    """What a person changed of a message; None and absent headers stay as they were, a header that is None goes."""

    body: bytes | None = None
    type: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    headers: Mapping[str, Any] = field(default_factory=dict)

    def of(self, message: Message) -> Message:
        """The message as it is to go back."""
        if self.body is not None:
            message = plain_message(message, self.body)
        given = {
            name: text
            for name in ("type", "content_type", "content_encoding")
            if (text := getattr(self, name)) is not None
        }
        headers = {**message.headers, **self.headers}
        if self.type is not None and isinstance(mark := headers.get(INLET), Mapping):
            headers[INLET] = {**mark, "type": self.type}  # an inlet's word on it goes before the property
        kept = {name: told for name, told in headers.items() if told is not None or name not in self.headers}
        return replace(message, headers=kept, **given)


AS_IT_CAME = Correction()


@value(frozen=True, slots=True)
class PutBack:
    """A message that is in its queue again, or would be: then with the types of its events, and what is wrong with it."""

    id: str
    source: str
    queue: str
    event_types: tuple[str, ...] | None = None
    fault: str | None = None


@value(frozen=True, slots=True)
class Tally:
    """What became of many: how many it was done with, how many stay for what reason, whether there are more."""

    done: int
    stay: int
    why: str
    more: bool


class Requeuing:
    """What a person does with messages in quarantine."""

    def __init__(
        self,
        quarantine: SqlQuarantine,
        sources: Sequence[Source],
        publisher: Publisher,
        decoders: Mapping[str, Decoder],
    ) -> None:
        """`publisher` publishes into queues of sources, for somebody who waits for the answer. `decoders` holds one for
        each source that is consumed, by its name.
        """
        self._decoders = decoders
        self._quarantine = quarantine
        self._sources = {source.name: source for source in sources}
        self._publisher = publisher
        self._under_way: set[str] = set()

    async def page(self, which: QuarantineFilter, *, after: str | None, limit: int) -> Page[KnownQuarantined]:
        """Newest first; ValueError for a cursor that is none of ours."""
        return await self._quarantine.messages(which, after=after, limit=limit)

    async def one(self, quarantined_id: str) -> KnownQuarantined | None:
        """The message, whole; None where there is none."""
        return await self._quarantine.message(quarantined_id)

    async def rehearse(self, quarantined_id: str, correction: Correction) -> PutBack | None:
        """What the source would make of it; nothing is changed. Raises as `requeue`, but for the broker."""
        known = await self._quarantine.message(quarantined_id)
        if known is None:
            return None
        source = self._source(known)
        message = replace(correction.of(known.message), exchange="", routing_key=source.queue)
        found = self._decoders[source.name].decode(message, new_id=lambda: known.id, received_at=time.time())
        return PutBack(known.id, source.name, source.queue, *_made(found))

    async def requeue(self, quarantined_id: str, correction: Correction = AS_IT_CAME) -> PutBack | None:
        """Publish it to its source's queue, with confirm, then delete it here; None where there is none.

        A crash in between leaves it here, too: it is never lost, and may come twice. Raises NoWayBack, BrokerRefused,
        PublishFailed, HistoryUnavailable.
        """
        known = await self._quarantine.message(quarantined_id)
        if known is None:
            return None
        source = self._source(known)
        with self._alone(known.id):
            await self._publish(known, correction.of(known.message), source)
            await self._quarantine.drop([known.id])
        return PutBack(known.id, source.name, source.queue)

    async def drop(self, quarantined_id: str) -> bool:
        """Delete it for good; False where there is none."""
        return await self._quarantine.drop([quarantined_id]) > 0

    async def requeue_all(self, which: QuarantineFilter) -> Tally:
        """Those that are there now, the oldest first: what comes back meanwhile is not taken again.

        Raises PublishFailed where the broker takes none now, HistoryUnavailable.
        """
        done = stay = 0
        why = behind = ""
        which = _until_now(which)
        started = time.monotonic()
        while ids := await self._quarantine.ids(which, behind, _AT_ONCE):
            for each in ids:
                if time.monotonic() - started > _LONGEST:
                    return Tally(done, stay, why, more=True)
                try:
                    done += await self.requeue(each) is not None
                except (NoWayBack, BrokerRefused) as error:
                    stay, why = stay + 1, why or str(error)
            behind = ids[-1]
        return Tally(done, stay, why, more=False)

    async def drop_all(self, which: QuarantineFilter) -> Tally:
        """Those that are there now, for good. Raises HistoryUnavailable."""
        which = _until_now(which)
        done = 0
        started = time.monotonic()
        while ids := await self._quarantine.ids(which, "", _DROPPED_AT_ONCE):
            if time.monotonic() - started > _LONGEST:
                return Tally(done, 0, "", more=True)
            done += await self._quarantine.drop(ids)
        return Tally(done, 0, "", more=False)

    def _source(self, known: KnownQuarantined) -> Source:
        if known.source == LANES:
            raise NoWayBack("it comes from a lane: start its delivery anew instead")
        source = self._sources.get(known.source)
        if source is None:
            raise NoWayBack(f"its source {known.source!r} is not there any more")
        return source

    async def _publish(self, known: KnownQuarantined, message: Message, source: Source) -> None:
        # Where it had no id the client library would make one up: this one is the same if it comes twice.
        message_id = message.message_id or known.id
        # Another part of its message may have its key; else it goes back as it came.
        headers = message.headers if source.dedupe is None else {**message.headers, REQUEUED: True}
        try:
            await self._publisher.publish(
                Outgoing(
                    exchange="",
                    routing_key=source.queue,
                    message_id=message_id,
                    body=message.body,
                    headers=headers,
                    like=message,
                    reply_to=message.reply_to,
                    priority=message.priority,
                )
            )
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
    """Returns the types of the events, and why the first refused part is no event."""
    fault = next((f"{each.why.reason}: {each.why.detail}" for each in received.refused), None)
    return tuple(event.type for event in received.events), fault


def _until_now(which: QuarantineFilter) -> QuarantineFilter:
    now = time.time()
    until = now if which.until is None else min(which.until, now)
    return QuarantineFilter(which.source, which.reason, which.since, until)
