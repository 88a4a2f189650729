"""The readers of message bodies and copies: large bodies are read in a thread, and copies only if a bridge with this history
signed them.

For a copy without a valid message authentication code the history is the only source of truth.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

import structlog

from bridge.codings.inflating import is_compressed
from bridge.core.base import Backoff
from bridge.core.budget import Budget, Turn
from bridge.core.delivery import FINAL, Delivery
from bridge.core.errors import HistoryUnavailable
from bridge.core.event import Content, Message, Undecodable
from bridge.core.ports import AckHandle
from bridge.formats.registry import AT_ONCE, Heavy
from bridge.history.history import SqlHistory
from bridge.pipeline.settlement import InFlight, SettledCallback, awaited, undecodable_for
from bridge.wire.copies import FORGED, PREFIX, Authenticator, ReadContent, read_copy

T = TypeVar("T")
log = structlog.get_logger(__name__)

_CHECK_EVERY = 0.02
_GROWTH = 4
"""The factor by which a large body is expected to grow when it is parsed. Its true size is counted afterwards."""

_LOOK_AGAIN = 1.0
"""Seconds after which a delivery that is not in the history is looked up once more: a copy is published before its commit."""
_DETAIL = (
    "no bridge with this history and these storage.encryption_keys wrote it, and the history knows no such delivery "
    "that still waits"
)

Resume = Callable[[Delivery, AckHandle, SettledCallback | None], None]
Refuse = Callable[[Undecodable, Message, AckHandle, SettledCallback | None], None]


class LargeBodyReader:
    """Reads large bodies one at a time, for all sources and lanes. A second thread would gain nothing under the interpreter
    lock.
    """

    def __init__(self, budget: Budget, load: InFlight, most: int, turn: Turn) -> None:
        """`load` counts the deliveries in flight, whose end frees memory; `most`: maximum bytes that a body may inflate to;
        `turn`: the share of the event loop for bodies that are read on it.
        """
        self.turn = turn
        self._budget = budget
        self._holder = budget.holder("reading")
        self._load = load
        self._most = most
        self._waiting = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reading")
        self._one = asyncio.Lock()

    async def read(self, message: Message, work: Callable[[], T], *, open_here: int = 1) -> T:
        """Returns the result of `work`, which reads the body of the message; `open_here`: how many of the open deliveries wait
        for it.
        """
        needed = self._most if is_compressed(message) else min(self._most, _GROWTH * len(message.body))
        self._waiting += open_here
        try:
            async with self._one:
                while not self._budget.fits(needed) and self._load.open > self._waiting:  # noqa: ASYNC110 - rare
                    await asyncio.sleep(_CHECK_EVERY)
                self._holder.take(needed)
                try:
                    return await asyncio.get_running_loop().run_in_executor(self._thread, work)
                finally:
                    self._holder.release(needed)
        finally:
            self._waiting -= open_here

    @property
    def busy(self) -> bool:
        """Returns whether a body is being read, or waits to be."""
        return self._one.locked()

    def close(self) -> None:
        """Stops accepting work without waiting; the current body is read to its end."""
        self._thread.shutdown(wait=False, cancel_futures=True)


class BoundedReadContent(Protocol):
    """The interface of `content_of`."""

    def __call__(self, message: Message, form: str, *, at_once: int | None = None) -> Content: ...


class CopyReader:
    """Verifies copies, and reads their deliveries."""

    def __init__(self, authenticator: Authenticator, content_of: BoundedReadContent) -> None:
        """`content_of` parses the body of the event, and raises Heavy if the body is too large for the event loop."""
        self._is_genuine = authenticator.is_genuine
        self._content_of = content_of
        self._content_at_once = partial(content_of, at_once=AT_ONCE)

    def read_at_once(self, message: Message) -> Delivery | Undecodable:
        """Reads a copy as `read`, but raises Heavy, and nothing else, if it is too large for the event loop."""
        if len(message.body) > AT_ONCE:
            raise Heavy
        return self._read(message, self._content_at_once)

    def read(self, message: Message) -> Delivery | Undecodable:
        """Returns the delivery of a copy; Undecodable `forged` if its signature is not valid. Safe in any thread."""
        return self._read(message, self._content_of)

    def read_without_data(self, message: Message) -> Delivery | Undecodable:
        """Reads a copy that ends processes: as `read`, but without parsing its data again."""
        return self._read(message, _no_data)

    def _read(self, message: Message, content_of: ReadContent) -> Delivery | Undecodable:
        if self._is_genuine(message):
            return read_copy(message, content_of)
        unread = read_copy(message, _no_data)
        return unread if isinstance(unread, Undecodable) else Undecodable(FORGED, _DETAIL)


@dataclass(frozen=True, slots=True)
class _Held:
    message: Message
    ticket: AckHandle
    on_settled: SettledCallback | None
    resume: Resume
    last_look: bool = False


class UnverifiedCopies:
    """Handles copies without a valid signature: the delivery continues from the history if it is open there, else the message
    goes to quarantine.

    So copies that an earlier version left in the lanes, or that were signed with a lost key, are still delivered, and a forger
    can cause only deliveries that the bridge would make anyway.
    """

    def __init__(
        self, records: SqlHistory, content_of: ReadContent, refuse: Refuse, large_bodies: LargeBodyReader
    ) -> None:
        """`refuse` quarantines a message; `large_bodies` reads the bodies from the history."""
        self._large_bodies = large_bodies
        self._records = records
        self._content_of = content_of
        self._refuse = refuse
        self._waiting: asyncio.Queue[_Held] = asyncio.Queue()

    def take(
        self, message: Message, ticket: AckHandle, on_settled: SettledCallback | None, resume: Resume
    ) -> None:
        """Accepts a copy, which is looked up soon; `resume` is called with its delivery if there is one."""
        self._waiting.put_nowait(_Held(message, ticket, on_settled, resume))

    async def run(self) -> None:
        """Looks up accepted copies, one by one, until cancelled."""
        while True:
            await self._next()

    async def _next(self) -> None:
        held = await self._waiting.get()
        if held.ticket.valid:
            await awaited(self._decide, self._failed, held)
        elif held.on_settled is not None:  # the broker redelivers it
            held.on_settled(False)

    def _failed(self, held: _Held, error: Exception) -> None:
        self._refuse(undecodable_for(error), held.message, held.ticket, held.on_settled)

    async def _decide(self, held: _Held) -> None:
        delivery = await self._look_up(held.message.headers.get(PREFIX + "delivery"))
        if delivery is not None:
            log.info("copy.taken_from_history", delivery=delivery.id, hook=delivery.hook)
            held.resume(delivery, held.ticket, held.on_settled)
        elif held.last_look:
            self._refuse(Undecodable(FORGED, _DETAIL), held.message, held.ticket, held.on_settled)
        else:
            again = _Held(held.message, held.ticket, held.on_settled, held.resume, last_look=True)
            asyncio.get_running_loop().call_later(_LOOK_AGAIN, partial(self._waiting.put_nowait, again))

    async def _look_up(self, delivery_id: Any) -> Delivery | None:
        if not isinstance(delivery_id, str):
            return None
        backoff = Backoff()
        while True:
            try:
                return await self._unfinished(delivery_id)
            except HistoryUnavailable:
                await backoff.pause()

    async def _unfinished(self, delivery_id: str) -> Delivery | None:
        """Returns the delivery, ready for its next attempt; None if it is unknown or final."""
        found = await self._records.delivery(delivery_id)
        if found is None or found[0].status in FINAL:
            return None
        known = found[0]
        whole = await self._records.event(known.event_id)
        if whole is None:
            return None
        event = whole[0]
        read = partial(self._content_of, event.message, event.format)
        content = await self._large_bodies.read(event.message, read, open_here=0)
        return Delivery(
            id=known.id,
            event=event.as_routed(content),
            hook=known.hook,
            generation=known.generation,
            attempt=known.attempts + 1,
            retries=known.attempts,
            not_before=known.next_attempt_at or 0.0,
        )


def _no_data(_message: Message, _form: str) -> Content:
    """Returns empty content without parsing."""
    return Content()
