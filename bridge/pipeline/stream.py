"""The reader of a stream: the offset up to which everything is done, the offsets done beyond it, and what is read again.

A stream keeps its messages, and a reader tells at which offset to start. Acks only allow further deliveries. So the offset up
to which every message has its committed fate is written in the same transaction as those fates, with the few offsets done
beyond it; the next reader starts there.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import structlog

from bridge.core.delivery import Reached
from bridge.core.event import Message, Source
from bridge.core.ports import AckHandle
from bridge.pipeline.settlement import SettledCallback
from bridge.wire.copies import message_digest

log = structlog.get_logger(__name__)

OFFSET = "x-stream-offset"
"""The header in which the broker gives a message's offset; it overwrites a publisher's value (3.10.8)."""
_EARLIEST = 1.0
"""A Unix time before all messages; 0 means none."""
_WINDOW = 4096
"""Maximum distance from the offset up to which everything is done: messages finished beyond it are not acked, so that no more
are delivered.
"""


Begin = Callable[[Message, AckHandle], None]


def beginning(source: Source, passed_over: int | None, now: float) -> Reached:
    """Returns where to start reading a stream that was never read: after `passed_over`, the offset of the last message to skip
    (-1: none), or as the setting says if it is unknown. With `now` stored, a restart before the first message does not skip
    what was published since.
    """
    since = _EARLIEST if passed_over == -1 else now
    return Reached(source.queue, -1 if passed_over is None else passed_over, since=since)


class StreamTicket:
    """The ticket of a message of a stream. It is never nacked: the broker would close the connection (540, 3.10.8)."""

    __slots__ = ("_ticket", "begun", "offset", "reader")

    def __init__(self, reader: "StreamReader", offset: int, ticket: AckHandle) -> None:
        self._ticket = ticket
        self.reader = reader
        self.offset = offset
        self.begun = False

    @property
    def valid(self) -> bool:
        """See bridge.core.ports.AckHandle."""
        return self._ticket.valid

    def grow(self, byte_count: int) -> None:
        """See bridge.core.ports.AckHandle."""
        self._ticket.grow(byte_count)

    def release(self) -> None:
        """See bridge.core.ports.AckHandle."""
        self._ticket.release()

    def finish(self) -> None:
        """See bridge.core.ports.AckHandle."""
        self._ticket.release()
        self.reader.credit(self.offset, self._ticket)

    def requeue(self) -> None:
        """Returns the message, none of whose deliveries has started: it is read again."""
        self.reader.on_settled(self, complete=False)

    def begin(self, on_settled: SettledCallback | None) -> SettledCallback:
        """Notes that a settlement begins; returns the callback that the settlement is to call at its end."""
        self.begun = True
        return partial(self._settled, on_settled)

    def _settled(self, also: SettledCallback | None, complete: bool) -> None:
        if also is not None:
            also(complete)
        self.reader.on_settled(self, complete=complete)


class StreamReader:
    """Tracks how far one source has read its stream. It is not used until the queue is known to be a stream."""

    def __init__(self, source: Source, changed: Callable[[], None]) -> None:
        """`changed` is called when progress was made that no transaction is about to commit."""
        self._source = source
        self._changed = changed
        self._begun = False
        self._ahead: set[int] = set()
        self._under_way: dict[int, StreamTicket] = {}
        self._waiting: dict[int, tuple[Message, AckHandle, Begin]] = {}
        self._let_go: set[int] = set()
        self._withheld: dict[int, AckHandle] = {}
        self._digests: dict[int, str] = {}
        self._digest = ""
        self._epoch = 0
        self._since = 0.0
        self._committed: tuple[int, int, int] | None = None
        self._at_risk = -1
        self._anchor: int | None = None
        self._expected = 0
        self._gaps: list[tuple[int, int]] = []
        self.done_to = -1
        """Every message up to this offset has its committed fate; -1: none is known of."""
        self.highest = -1
        self.deaf = False
        """What comes is of no use until the next consumer begins."""
        self.must_reread = True
        """What came may have been let go: the next consumer begins behind the place that is done."""

    # ---- start offset ---------------------------------------------------------------------------------

    def begin(self, stored: Reached | None, at_risk: int) -> None:
        """Starts from the committed progress. The `at_risk` messages beyond it may have been in flight when the last process
        ended.
        """
        self._ahead.clear()
        self.done_to, self._digest, self._epoch, self._since = -1, "", 0, 0.0
        if stored is not None:
            self.done_to, self._digest, self._epoch = stored.offset, stored.digest, stored.epoch
            self._since = stored.since
            self._ahead = {
                stored.offset + 1 + bit for bit in range(stored.ahead.bit_length()) if stored.ahead >> bit & 1
            }
        self._committed = (self._epoch, self.done_to, len(self._ahead)) if stored is not None else (0, -1, 0)
        self.highest = self.done_to
        self._expected, self._gaps = self.done_to + 1, []
        self._at_risk = self.done_to + len(self._ahead) + at_risk
        self._begun, self.must_reread = True, True

    @property
    def begun(self) -> bool:
        """Returns whether the start offset is known."""
        return self._begun

    def attach(self) -> int | str | datetime:
        """Returns the offset for a new consumer. The last message that is done is requested once more: it shows that this is
        the stream that was read before.
        """
        self.deaf = False
        if not self.must_reread and self.highest >= 0:
            self._expected = self.highest + 1
            return self._expected
        self.must_reread = False
        if self.done_to >= 0:
            self._anchor = self._expected = self.done_to
            return self.done_to
        self._expected = 0
        self._anchor = None
        if self._epoch or self.highest >= 0 or self._ahead:
            return "first"  # the stream was replaced, so all of it is new; or it was read from its very first message
        wanted = self._source.stream.offset
        if wanted in {"next", "last"} and self._since:
            return datetime.fromtimestamp(self._since, UTC)
        return wanted

    @property
    def unsure(self) -> bool:
        """Returns whether the last message that is done has not been delivered again: the stream may have been replaced."""
        return self._anchor is not None

    def made_anew(self) -> None:
        """Notes that this is another stream: all of it is new."""
        log.warning(
            "stream.made_anew",
            source=self._source.name,
            done_to=self.done_to,
            effect="read from its beginning",
        )
        self._epoch += 1
        self._ahead.clear()
        self._under_way.clear()
        self._waiting.clear()
        self._let_go.clear()
        self._digests.clear()
        self._gaps.clear()
        self._digest, self._anchor, self._at_risk = "", None, -1
        self.done_to = self.highest = -1
        self._since = 0.0
        self.deaf = self.must_reread = True
        withheld, self._withheld = self._withheld, {}
        for ticket in withheld.values():
            ticket.finish()

    def lost(self) -> None:
        """Notes that the consumer is gone, with the messages that it held."""
        self.must_reread = True

    def leave(self) -> None:
        """Stops reading, because another replica reads the stream; messages in flight here still count."""
        self._begun = False
        self.must_reread = True

    # ---- receiving messages ---------------------------------------------------------------------------

    def take(self, message: Message, ticket: AckHandle, begin: Begin) -> None:
        """Accepts a message: begins with it, unless it is done or in flight already."""
        offset = message.headers.get(OFFSET)
        if not isinstance(offset, int):
            begin(message, ticket)  # the queue is not a stream any more
            return
        if self.deaf or not self._begun:
            ticket.finish()
            return
        if self._anchor is not None and not self._is_where_it_was(offset, message):
            ticket.finish()
            return
        self._bridge_gap(offset)
        self.highest = max(self.highest, offset)
        earlier = self._under_way.get(offset)
        if offset <= self.done_to or offset in self._ahead:
            ticket.finish()
        elif earlier is not None and (earlier.begun or earlier.valid):
            self._waiting[offset] = message, ticket, begin
        else:
            self._start(offset, message, ticket, begin)

    def _start(self, offset: int, message: Message, ticket: AckHandle, begin: Begin) -> None:
        """Begins with a message. Without a message id of its publisher it is identified by its offset; an earlier one is marked
        as redelivered, as queues do.
        """
        self._digests[offset] = message_digest(self._source.queue, message)
        again = offset <= self._at_risk or offset in self._let_go
        own_id = message.message_id or f"{self._source.queue}@{offset}"
        ours = self._under_way[offset] = StreamTicket(self, offset, ticket)
        begin(replace(message, message_id=own_id, redelivered=again), ours)

    def _is_where_it_was(self, offset: int, message: Message) -> bool:
        """Returns whether this is the stream that was read before; else it has to be read from its start."""
        anchor, self._anchor = self._anchor, None
        if offset == anchor and self._digest and message_digest(self._source.queue, message) != self._digest:
            self.made_anew()
            return False
        return True

    def _bridge_gap(self, offset: int) -> None:
        """Skips missing offsets. Offsets have no gaps: a missing one was deleted, and is not waited for, though its message may
        be in flight here. The first message shows where the stream begins.
        """
        first = max(self._expected, self.done_to + 1)
        self._expected = offset + 1
        if offset <= first:
            return
        known = {one for one in (*self._ahead, *self._under_way) if first <= one < offset}
        lost = offset - first - len(known)
        if lost and (self.highest >= 0 or self.done_to >= 0):
            log.warning(
                "stream.truncated",
                source=self._source.name,
                messages=lost,
                advice="its retention is too short",
            )
        self._gaps.append((first, offset))
        self._move_on()

    # ---- settling messages ----------------------------------------------------------------------------

    def credit(self, offset: int, ticket: AckHandle) -> None:
        """Acks a finished message, so that the next one is delivered, unless too many wait for one that is not done."""
        if self.highest >= offset > self.done_to + _WINDOW:
            self._withheld[offset] = ticket
        else:
            ticket.finish()

    def on_settled(self, ticket: StreamTicket, *, complete: bool) -> None:
        """Ends a message of which nothing is in flight any more: all deliveries have their fate, or it is read again."""
        offset = ticket.offset
        if self._under_way.get(offset) is not ticket:
            return
        del self._under_way[offset]
        waiting = self._waiting.pop(offset, None)
        if complete:
            self._let_go.discard(offset)
            self._done(offset)
            if waiting is not None:
                waiting[1].finish()
            self._changed()
            return
        self._let_go.add(offset)
        if waiting is not None and waiting[1].valid:
            self._start(offset, *waiting)
        else:
            self.must_reread = True
            self._move_on()  # it is beyond the done offset, or one of those that are missing

    def _done(self, offset: int) -> None:
        if offset > self.done_to:
            self._ahead.add(offset)
            self._move_on()

    def _move_on(self) -> None:
        while True:
            if self.done_to + 1 in self._ahead:
                self.done_to += 1
                self._ahead.discard(self.done_to)
                self._digest = self._digests.pop(self.done_to, "")
            elif (beyond := self._beyond_gap(self.done_to, self._ahead, self._under_way)) > self.done_to:
                self.done_to, self._digest = beyond, ""
            else:
                break
        if self._gaps:
            self._gaps = [gap for gap in self._gaps if gap[1] > self.done_to + 1]
        for offset in [each for each in self._withheld if each - self.done_to <= _WINDOW]:
            self._withheld.pop(offset).finish()

    def _beyond_gap(self, done_to: int, ahead: Collection[int], under_way: Collection[int]) -> int:
        """Returns the last of the messages after `done_to` that are missing and not in flight."""
        for first, end in self._gaps:
            if first <= done_to + 1 < end:
                return min([end, *(one for one in (*ahead, *under_way) if one > done_to)]) - 1
        return done_to

    # ---- committing progress --------------------------------------------------------------------------

    def reached_with(self, offsets: Collection[int]) -> Reached | None:
        """Returns the offset up to which everything is done once these messages are; None if that is committed already."""
        done_to, ahead, digest = (
            self.done_to,
            self._ahead | {one for one in offsets if one > self.done_to},
            self._digest,
        )
        under_way = self._under_way.keys() - set(offsets) if self._gaps else ()
        while True:
            if done_to + 1 in ahead:
                done_to += 1
                ahead.discard(done_to)
                digest = self._digests.get(done_to, "")
            elif (beyond := self._beyond_gap(done_to, ahead, under_way)) > done_to:
                done_to, digest = beyond, ""
            else:
                break
        if not self._begun or (self._epoch, done_to, len(ahead)) == self._committed:
            return None
        return self._made(done_to, ahead, digest)

    def _reached(self) -> Reached:
        return self._made(self.done_to, self._ahead, self._digest)

    def _made(self, done_to: int, ahead: set[int], digest: str) -> Reached:
        bits = sum(1 << (offset - done_to - 1) for offset in ahead)
        return Reached(self._source.queue, done_to, bits, digest, self._epoch, self._since)

    def committed(self, reached: Reached) -> None:
        """Notes that this progress is committed."""
        self._committed = (reached.epoch, reached.offset, reached.ahead.bit_count())

    @property
    def unsaved(self) -> bool:
        """Returns whether the stream was read further than is committed."""
        return self._begun and self._committed != (self._epoch, self.done_to, len(self._ahead))
