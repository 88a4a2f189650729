"""The sources that are streams: which replica reads each, from which offset, and whether it is still the same stream."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from bridge.amqp.connection import Link
from bridge.amqp.consumer import ConsumeChannel
from bridge.amqp.kinds import first_place, last_offset
from bridge.core.delivery import Reached
from bridge.core.errors import BridgeError, BrokerUnavailable, HistoryUnavailable
from bridge.core.event import Source
from bridge.history.batches import SqlStreams
from bridge.history.leases import SqlReplicas
from bridge.pipeline.intake import Intake
from bridge.pipeline.recorder import Recorder
from bridge.pipeline.stream import StreamReader, beginning

log = structlog.get_logger(__name__)

_LEASE = 10.0
_RENEW_EVERY = 3.0
_EVERY = 1.0
_UNSURE_FOR = 3.0
_REREAD_AFTER = 5.0
_DOUBTS = 2


@dataclass(slots=True, eq=False)
class _Read:
    """A stream that this process reads, or stands by to read."""

    intake: Intake
    reader: StreamReader
    channel: ConsumeChannel
    ours: bool = False
    leased_at: float = 0.0
    attached_at: float = 0.0
    looked_at: float = 0.0
    reread_since: float = 0.0
    held_at: float = float("-inf")
    """Monotonic time of the last successful renewal of the lease."""
    doubts: int = 0


class Streams:
    """Reads streams, each on one replica at a time: the one that holds its lease."""

    def __init__(
        self,
        link: Link,
        places: SqlStreams,
        leases: SqlReplicas,
        recorder: Recorder,
        tell: Callable[[str, int], None],
        *,
        holder: str,
        alone: bool,
        silent_after: float,
    ) -> None:
        """`tell(source, offset)` is called with the progress of a stream; `holder` identifies this run of the process; `alone`:
        there are no other replicas; `silent_after`: seconds without a message after which the end of the stream is looked up.
        """
        self._link = link
        self._places = places
        self._leases = leases
        self._recorder = recorder
        self._tell = tell
        self._holder = holder
        self._alone = alone
        self._silent_after = silent_after
        self._read: dict[str, _Read] = {}
        self.unclean = not alone
        """Whoever read before may not have stopped in order: what had come to it may come again."""

    def __contains__(self, queue: object) -> bool:
        return queue in self._read

    def add(self, intake: Intake, channel: ConsumeChannel) -> None:
        """Adds a source whose queue is a stream, which `channel` consumes."""
        source = intake.source
        if source.queue not in self._read:
            reader = StreamReader(source, self._recorder.nudge)
            self._recorder.follow(reader)
            self._read[source.queue] = _Read(intake, reader, channel)
        intake.stream = self._read[source.queue].reader

    def no_stream(self, intake: Intake) -> None:
        """Notes that the queue of this source is not a stream, or not any more."""
        intake.stream = None
        if (read := self._read.pop(intake.source.queue, None)) is not None:
            read.reader.leave()

    async def prepare(self, queue: str) -> bool:
        """Returns whether the stream may be consumed here now, with its start offset known."""
        read = self._read[queue]
        try:
            before = read.held_at
            read.ours = await self._lease(queue, read)
            if not read.ours or not (self._alone or time.monotonic() - before < _LEASE):
                read.reader.leave()  # another replica may have read further meanwhile: the history has the progress
            if read.ours and not read.reader.begun:
                await self._begin(read)
        except HistoryUnavailable as error:
            log.warning("stream.no_history", source=read.intake.source.name, error=str(error))
            return False
        except BrokerUnavailable as error:
            log.info("stream.not_looked_at", queue=queue, error=str(error))
            return False
        return read.ours

    async def _lease(self, queue: str, read: _Read) -> bool:
        asked_at = time.monotonic()
        ours = await self._leases.lease(f"stream {queue}", self._holder, _LEASE)
        if ours:
            read.held_at = asked_at
        return ours

    async def _begin(self, read: _Read) -> None:
        source, reader = read.intake.source, read.reader
        stored = await self._places.stored(source.queue)
        begun = stored or await self._first_look(source)
        reader.begin(begun, 2 * source.prefetch if self.unclean and stored else 0)
        log.info("stream.reading", source=source.name, done_to=reader.done_to, first=stored is None)

    async def _first_look(self, source: Source) -> Reached:
        """Stores the start offset before anything is read: after a stop, reading starts there, and not at the later end of the
        stream.
        """
        offset, now = source.stream.offset, time.time()
        place = None
        if not isinstance(offset, datetime) and offset != "first":
            place = await first_place(self._link, source.queue, offset)
        reached = beginning(source, place, now)
        await self._places.store(reached)
        return reached

    def arguments(self, queue: str) -> Mapping[str, Any]:
        """Returns the arguments for a consumer of this queue."""
        read = self._read.get(queue)
        if read is None:
            return {}
        read.attached_at, read.doubts = time.monotonic(), 0
        return {"x-stream-offset": read.reader.attach()}

    def lost(self, queue: str) -> None:
        """Notes that the consumer of this queue is gone."""
        if (read := self._read.get(queue)) is not None:
            read.reader.lost()

    def standing_by(self, queue: str) -> bool:
        """Returns whether another replica reads this stream."""
        return queue in self._read and not self._read[queue].ours

    # ---- checks while reading -------------------------------------------------------------------------

    async def run(self) -> None:
        """Renews leases and checks silent streams until cancelled."""
        while True:
            await asyncio.sleep(_EVERY)
            for queue, read in list(self._read.items()):
                try:
                    await self._look(queue, read, time.monotonic())
                except BridgeError as error:
                    log.info("stream.not_looked_at", queue=queue, error=str(error))

    async def _look(self, queue: str, read: _Read, now: float) -> None:
        channel, reader = read.channel, read.reader
        self._tell(read.intake.source.name, reader.done_to)
        if not channel.up(queue):
            read.attached_at = now
            return
        if not await self._still_ours(queue, read, now):
            log.warning("stream.taken_over", source=read.intake.source.name)
            read.ours = False
            reader.leave()
            await channel.renew(queue)
        elif reader.unsure and now - read.attached_at > _UNSURE_FOR:
            await self._doubt(queue, read)
        elif not channel.open and now - max(read.attached_at, read.looked_at) > self._silent_after:
            read.looked_at = now
            await self._see_whether_something_waits(queue, read)
        elif reader.must_reread:
            read.reread_since = read.reread_since or now
            if reader.deaf or now - read.reread_since > _REREAD_AFTER:
                read.reread_since = 0.0
                await channel.renew(queue)

    async def _still_ours(self, queue: str, read: _Read, now: float) -> bool:
        if self._alone or now - read.leased_at < _RENEW_EVERY:
            return True
        read.leased_at = now
        return await self._lease(queue, read)

    async def _doubt(self, queue: str, read: _Read) -> None:
        """Handles a stream that delivers nothing, although the last message that is done was requested. It is read from its
        start only after two checks that find it shorter: a slow delivery may look so once.
        """
        last = await last_offset(self._link, queue, read.reader.done_to)
        if last is not None and last < read.reader.done_to and read.reader.unsure:
            read.doubts += 1
            if read.doubts < _DOUBTS:
                return
            read.reader.made_anew()
        elif last is None:
            return  # it is empty, or has no leader: the next message decides
        await read.channel.renew(queue)

    async def _see_whether_something_waits(self, queue: str, read: _Read) -> None:
        highest = read.reader.highest
        last = await last_offset(self._link, queue, highest + 1)
        if last is not None and last > read.reader.highest and read.reader.highest == highest:
            log.warning("consumer.silent", queue=queue, last=last, highest=highest)
            await read.channel.renew(queue)
