"""The use cases that retry a delivery and cancel one, and the outbox that publishes retried ones."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import structlog

from bridge.core.delivery import FINAL, Answer, Delivery, Parked, Record, Status
from bridge.core.errors import BridgeError, HistoryUnavailable, PublishTooLarge
from bridge.core.ports import Control, Copies, History, Preview
from bridge.core.records import KnownAttempt, KnownDelivery, KnownEvent, Restart
from bridge.deliveries.documents import RequestDocument
from bridge.deliveries.outbox import SqlOutbox
from bridge.events.documents import as_event
from bridge.formats.parse import Bounds
from bridge.history.history import SqlHistory
from bridge.history.leases import SqlReplicas
from bridge.pipeline.hook_table import HookTable
from bridge.telemetry import events

Found = tuple[KnownDelivery, Sequence[KnownAttempt]]


class Unknown(BridgeError):
    """The delivery does not exist."""


class NotNow(BridgeError):
    """The operation is not possible in the present state; the text says why."""


class RetryDelivery:
    """Retries and cancels deliveries on behalf of a person."""

    def __init__(
        self,
        records: SqlHistory,
        outbox: SqlOutbox,
        table: HookTable,
        *,
        publish: Callable[[Sequence[Restart]], None],
        control: Control,
        cancelled: Callable[[KnownDelivery], None] = lambda _delivery: None,
    ) -> None:
        """`publish` publishes copies of retried deliveries soon; `cancelled` is called with each cancelled delivery."""
        self._records = records
        self._outbox = outbox
        self._table = table
        self._publish = publish
        self._control = control
        self._cancelled = cancelled

    async def retry(self, delivery_id: str) -> Found:
        """Retries the delivery, whatever its status, and returns it as it is before its first attempt.

        A scheduled automatic retry becomes obsolete. Raises Unknown, NotNow, HistoryUnavailable.
        """
        known = await self._known(delivery_id)
        self._check_hook(known.hook)
        restarts = await self._outbox.restart([known.id], time.time(), statuses=frozenset(Status))
        if not restarts:
            raise NotNow("its event is not in the history any more, so there is nothing left to deliver")
        found = await self._found(delivery_id)
        self._publish(restarts)
        await self._control.tell("jobs", known.id)
        return found

    async def cancel(self, delivery_id: str) -> Found:
        """Cancels the delivery: FAILED `cancelled`; its copies are dropped when they are consumed.

        An attempt under way continues, and its result only shows among the attempts. Raises Unknown, NotNow if the delivery is
        final, HistoryUnavailable.
        """
        known = await self._known(delivery_id)
        if not await self._outbox.cancel(known.id, time.time()):
            known = await self._known(delivery_id)
            raise NotNow(f"it is final ({known.status}), so there is nothing left to cancel")
        self._cancelled(known)
        await self._control.tell("jobs", known.id)
        return await self._found(delivery_id)

    def may_retry(self, known: KnownDelivery) -> bool:
        """Returns whether the hook of the delivery exists and is enabled."""
        runner = self._table.get(known.hook)
        return runner is not None and runner.hook.enabled

    async def retry_some(self, some: Sequence[KnownDelivery]) -> int:
        """Retries these deliveries, unless their status changed meanwhile; returns the number. Raises HistoryUnavailable."""
        done = 0
        for status in {each.status for each in some}:
            ids = [each.id for each in some if each.status is status]
            restarts = await self._outbox.restart(ids, time.time(), statuses=frozenset({status}))
            self._publish(restarts)
            done += len(restarts)
            if status not in FINAL:
                await self._tell([each.delivery_id for each in restarts])
        return done

    async def cancel_some(self, some: Sequence[KnownDelivery]) -> int:
        """Cancels those of these deliveries that wait; returns the number. Raises HistoryUnavailable."""
        cancelled = set(await self._outbox.cancel_some([each.id for each in some], time.time()))
        for each in some:
            if each.id in cancelled:
                self._cancelled(each)
        await self._tell(cancelled)
        return len(cancelled)

    async def _tell(self, ids: Collection[str]) -> None:
        """Tells the replicas which copies are obsolete."""
        for each in ids:
            await self._control.tell("jobs", each)

    def _check_hook(self, hook: str) -> None:
        runner = self._table.get(hook)
        if runner is None:
            raise NotNow(f"hook {hook!r} is gone")
        if not runner.hook.enabled:
            raise NotNow(f"hook {hook!r} is disabled; enable it first")

    async def _known(self, delivery_id: str) -> KnownDelivery:
        return (await self._found(delivery_id))[0]

    async def _found(self, delivery_id: str) -> Found:
        found = await self._records.delivery(delivery_id)
        if found is None:
            raise Unknown("there is no such delivery")
        return found


# The sender of copies of retried deliveries, from the history into their lanes.


log = structlog.get_logger(__name__)

_COPIES_AT_ONCE = 64
_MOST_BYTES = 8 * 1024 * 1024
"""Maximum bytes of events that are held at once."""


class CopySender:
    """Publishes the deliveries in the outbox, and removes them."""

    def __init__(self, outbox: SqlOutbox, history: History, copies: Copies, table: HookTable) -> None:
        self._outbox = outbox
        self._history = history
        self._copies = copies
        self._table = table
        self._under_way: set[tuple[str, int]] = set()

    async def send(self, restarts: Sequence[Restart]) -> int:
        """Publishes one copy of each delivery and returns how many are done; the others stay in the outbox.

        Deliveries that are being sent already are skipped. A delivery whose hook is gone becomes FAILED `hook_deleted`. Raises
        HistoryUnavailable.
        """
        mine = [each for each in restarts if (each.delivery_id, each.generation) not in self._under_way]
        keys = {(each.delivery_id, each.generation) for each in mine}
        self._under_way |= keys
        try:
            return sum(
                [
                    await self._send(mine[at : at + _COPIES_AT_ONCE])
                    for at in range(0, len(mine), _COPIES_AT_ONCE)
                ]
            )
        finally:
            self._under_way -= keys

    async def _send(self, restarts: Sequence[Restart]) -> int:
        sizes = await self._outbox.sizes(list({each.event_id for each in restarts}))
        there = [each for each in restarts if each.event_id in sizes]
        sent = 0
        for some in _by_size(there, sizes):
            found = await self._outbox.whole_events([each.event_id for each in some])
            whole = {known.id: known for known in found}
            pairs = [(each, whole[each.event_id]) for each in some if each.event_id in whole]
            fates = await asyncio.gather(*(self._publish(*pair) for pair in pairs))
            ended = [fate for fate in fates if isinstance(fate, Record)]
            if ended:
                await self._history.commit(ended)
            done = [each for (each, _), fate in zip(pairs, fates, strict=True) if fate is not None]
            await self._outbox.sent(done)
            sent += len(done)
        return sent

    async def _publish(self, restart: Restart, known: KnownEvent) -> Record | Parked | None:
        """Returns Parked once the copy is confirmed, a Record if the delivery cannot be made, None if it should be retried."""
        delivery = _copy(restart, known)
        runner = self._table.get(restart.hook)
        if runner is None:
            return Record(delivery, "", Status.FAILED, "hook_deleted", time.time())
        try:
            await self._copies.park(delivery)
        except PublishTooLarge as error:
            reason = f"cannot wait on the broker: {error}"
            return Record(delivery, runner.hook.target.type, Status.FAILED, reason, time.time())
        except BridgeError as error:
            log.warning(
                "outbox.not_published", hook=restart.hook, error=str(error), effect="it is tried again"
            )
            return None
        except Exception as error:  # noqa: BLE001 - a bug with one delivery must not end the work for all
            events.hook_failed(restart.hook, error)
            return None
        parked = Parked("restarted")
        # The lane belongs to the present worker of the hook, which may have been replaced since.
        (self._table.get(restart.hook) or runner).copy_sent(parked, known.received_at)
        runner.metrics.parked[parked.reason].value += 1
        return parked


def _copy(restart: Restart, known: KnownEvent) -> Delivery:
    return Delivery(
        restart.delivery_id,
        as_event(known, None),
        restart.hook,
        generation=restart.generation,
        attempt=restart.attempts + 1,
        restarted_at=time.time(),
    )


def _by_size(restarts: Sequence[Restart], sizes: Mapping[str, int]) -> Iterator[list[Restart]]:
    """Yields groups of at most the bytes that may be held at once, or of one delivery."""
    group: list[Restart] = []
    size = 0
    for each in restarts:
        size += sizes[each.event_id]
        if group and size > _MOST_BYTES:
            yield group
            group, size = [], sizes[each.event_id]
        group.append(each)
    if group:
        yield group


# The task that publishes from the outbox: new entries at once, entries left by a crash after a while.


LEASE = "outbox"
_LEFT_FOR = 10.0
"""Seconds after which an entry counts as left behind: the process that added it should have published it."""
_EVERY = 3.0
_LEASE_SECONDS = 60.0
_AT_ONCE = 500


class OutboxTask:
    """Publishes from the outbox, in every process; entries left behind are handled by one process at a time."""

    def __init__(
        self,
        sender: CopySender,
        outbox: SqlOutbox,
        leases: SqlReplicas,
        control: Control,
        *,
        replica: str,
        overtaken: Callable[[Collection[str]], None],
        left_for: float = _LEFT_FOR,
        every: float = _EVERY,
    ) -> None:
        """`overtaken` is called with the ids of deliveries whose copies in this process are obsolete.

        `left_for`: seconds after which an entry of the outbox counts as left behind; `every`: seconds between two checks.
        """
        self._sender = sender
        self._outbox = outbox
        self._leases = leases
        self._replica = replica
        self._overtaken = overtaken
        self._left_for = left_for
        self._every = every
        self._fresh: list[Restart] = []
        self._wanted = asyncio.Event()
        control.listen("jobs", self._heard)

    def soon(self, restarts: Sequence[Restart]) -> None:
        """Publishes these entries of the outbox next."""
        self._fresh += restarts
        self._wanted.set()

    async def run(self) -> None:
        """Publishes until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._publish_fresh(), name="outbox: fresh")
            tasks.create_task(self._publish_left(), name="outbox: left")

    def _heard(self, about: str) -> None:
        if about:
            self._overtaken({about})

    async def _publish_fresh(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            restarts, self._fresh = self._fresh, []
            await self._send(restarts)

    async def _publish_left(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(self._every)

    async def _look(self) -> None:
        """Handles entries left behind; holds the lease only while there are any, which is rare."""
        try:
            while left := await self._outbox.outbox(time.time() - self._left_for, _AT_ONCE):
                if not await self._leases.lease(LEASE, self._replica, _LEASE_SECONDS):
                    return
                sent = await self._sender.send(left)
                log.info("outbox.left", found=len(left), published=sent)
                if sent < len(left):
                    break  # the broker does not accept them now
            else:
                return
            await self._leases.release(LEASE, self._replica)
        except HistoryUnavailable as error:
            log.warning("outbox.not_read", error=str(error))

    async def _send(self, restarts: Sequence[Restart]) -> None:
        """Publishes the entries; those that fail are handled later as left behind."""
        with contextlib.suppress(HistoryUnavailable):
            await self._sender.send(restarts)


# The preview of the request that a delivery would send now.


class Requests:
    """Builds requests with the present hooks, without sending them."""

    def __init__(self, records: SqlHistory, table: HookTable, bounds: Bounds) -> None:
        """`bounds` limit the parsing of event bodies."""
        self._records = records
        self._table = table
        self._bounds = bounds

    async def of(self, delivery_id: str) -> RequestDocument:
        """Returns the request of this delivery, compared with that of its latest attempt.

        Raises Unknown; NotNow, with the reason, if it cannot be built; HistoryUnavailable.
        """
        found = await self._records.delivery(delivery_id)
        if found is None:
            raise Unknown
        known, attempts = found
        runner = self._table.get(known.hook)
        if runner is None:
            raise NotNow(f"hook {known.hook} is gone: nobody knows what it would send")
        if runner.target is None:
            raise NotNow(
                f"this process does not serve the target of hook {runner.hook.name}; ask another one"
            )
        event = await self._records.event(known.event_id)
        if event is None:
            raise NotNow("its event is no longer in the history")
        number = known.attempts + 1
        whole, target = event[0], runner.target

        def built() -> Preview | Answer:
            delivery = Delivery(known.id, as_event(whole, self._bounds), known.hook, known.generation, number)
            return target.preview(delivery)

        preview = await asyncio.to_thread(built)
        if isinstance(preview, Answer):
            raise NotNow(f"the body cannot be built: {preview.error}")
        return RequestDocument.compared(preview, attempts)
