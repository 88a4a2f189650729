"""The deletion of hooks' lanes: done by one replica, and taken over by another if that one ends."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Literal

import structlog
from sqlalchemy import Connection, delete, func, select, update

from bridge.amqp.consumer import ConsumeChannel
from bridge.amqp.topology import Topology
from bridge.cluster.replicas import Replicas
from bridge.core.delivery import FINAL, Status
from bridge.core.errors import BridgeError, BrokerRefused, BrokerUnavailable
from bridge.core.hook import Overtaken, StoredHook
from bridge.core.ports import Receive
from bridge.db.admin_tables import outbox
from bridge.db.engine import Reads, Store, Writes
from bridge.db.tables import deliveries
from bridge.history.leases import SqlReplicas
from bridge.history.sums import count_ends
from bridge.hooks.in_force import HooksInForce
from bridge.hooks.service import Removal
from bridge.hooks.store import SqlHooks
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

_ANSWER_WITHIN = 10.0
_LEASE = 15.0
_RENEW = 3.0
_LOOK_FOR_WORK = 2.0
_LOOK = 0.05
_PREFETCH = 500
_ENDED_AT_ONCE = 2000


class LeaseLost(Exception):
    """Another replica holds the lease and continues."""


class HookDeletion:
    """The worker that empties and deletes the lanes of deleted hooks.

    drain: wait until no delivery of the hook waits, then drop the empty lane. drop: once no replica has the hook
    active, unbind the lane, end each of its copies as FAILED `hook_deleted`, delete it, and end all deliveries that are
    still waiting in the history, such as those on the retry ladder.
    """

    def __init__(
        self,
        in_force: HooksInForce,
        replicas: Replicas,
        store: SqlHooks,
        remains: "SqlUnfinishedDeliveries",
        leases: SqlReplicas,
        *,
        replica_id: str,
        topology: Topology,
        channel: Callable[[], ConsumeChannel],
        receive: Receive,
        metrics: Metrics,
    ) -> None:
        """`channel` opens a channel that consumes existing lanes; `receive` handles copies of deleted hooks."""
        self._in_force, self._replicas, self._store = in_force, replicas, store
        self._remains, self._leases, self._me = remains, leases, replica_id
        self._topology, self._channel, self._receive = topology, channel, receive
        self._metrics = metrics
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._renewed: dict[str, float] = {}
        self._stopping = False

    # Requests.

    async def delete(self, hook: StoredHook, how: Literal["drain", "drop"]) -> Removal:
        """Delete a hook; see bridge.hooks.service.Delete."""
        hook_id = hook.hook.id
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                await self._in_force.changed()
                if how == "drain" and (waiting := await self._waiting(hook_id)):
                    self._start(hook_id)
                    return Removal("draining", waiting=waiting)
                while hook_id in self._in_force.stored:
                    self._start(hook_id)
                    await asyncio.sleep(_LOOK)
                if how == "drain":
                    return Removal("drained", deliveries=0)
                return Removal("dropped", deliveries=await self._remains.ended(hook_id))
        except TimeoutError:
            if how == "drain":
                return Removal("draining", waiting=await self._waiting(hook_id))
            return Removal("dropping")

    async def _waiting(self, hook_id: str) -> int:
        """Returns how many deliveries wait for the hook, as far as this process knows."""
        depth = 0
        with contextlib.suppress(BrokerUnavailable):
            depth = await self._topology.depth(self._topology.names.lane(hook_id)) or 0
        runner = self._in_force.table.get(hook_id)
        here = runner.unrecorded if runner is not None else 0
        return max(await self._remains.waiting(hook_id), depth) + here

    # Work.

    async def run(self) -> None:
        """Delete lanes until cancelled, including work left by other replicas."""
        while True:
            for hook_id, stored in self._in_force.stored.items():
                if stored.deleting:
                    self._start(hook_id)
            await self._clean_up()
            await asyncio.sleep(_LOOK_FOR_WORK)

    async def stop(self) -> None:
        """Stop; unfinished work is left to other replicas, or to the next start."""
        self._stopping = True
        jobs = list(self._jobs.values())
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)

    async def _clean_up(self) -> None:
        """Delete a lane that a replica with outdated hooks recreated after its deletion."""
        for hook_id in list(self._in_force.outlived):
            try:
                await self._bury(hook_id)
            except BridgeError as error:
                log.warning("hook.not_cleaned_up", hook=hook_id, error=str(error))
            else:
                self._in_force.outlived.discard(hook_id)

    def _start(self, hook_id: str) -> None:
        if hook_id not in self._jobs and not self._stopping:
            job = self._jobs[hook_id] = asyncio.create_task(self._job(hook_id), name=f"delete {hook_id}")
            job.add_done_callback(lambda _job: self._jobs.pop(hook_id, None))

    async def _job(self, hook_id: str) -> None:
        try:
            await self._hold(hook_id)
            await self._remove(hook_id)
        except LeaseLost:
            return
        except Overtaken:
            await self._in_force.changed()
        except BridgeError as error:
            log.warning("hook.not_deleted_yet", hook=hook_id, error=str(error))
            await asyncio.sleep(1)
        except Exception:
            # Retried soon: an error here must not stop the bridge.
            log.exception("hook.not_deleted_yet", hook=hook_id)
        finally:
            self._renewed.pop(hook_id, None)
            with contextlib.suppress(BridgeError):
                await self._leases.release(f"hook.{hook_id}", self._me)

    async def _hold(self, hook_id: str) -> None:
        """Acquire or renew the lease. Raises LeaseLost."""
        now = time.monotonic()
        if now - self._renewed.get(hook_id, -_RENEW) >= _RENEW:
            if not await self._leases.lease(f"hook.{hook_id}", self._me, _LEASE):
                raise LeaseLost
            self._renewed[hook_id] = now

    async def _remove(self, hook_id: str) -> None:
        drained = False
        while (stored := self._in_force.stored.get(hook_id)) is not None and stored.deleting:
            if stored.deleting == "drop":
                await self._drop(stored, drained=drained)
                return
            if await self._is_drained(stored):
                drained = True
                await self._store.delete_hook(hook_id, "drop", time.time(), version=stored.version)
                await self._in_force.changed()
            else:
                await asyncio.sleep(0.5)
            await self._hold(hook_id)

    async def _is_drained(self, stored: StoredHook) -> bool:
        if not await self._all_have(stored.revision, settled=True):
            return False
        return not await self._waiting(stored.hook.id)

    async def _all_have(self, revision: int, *, settled: bool = False) -> bool:
        here = self._in_force.settled if settled else self._in_force.revision
        return here >= revision and await self._replicas.others_have(revision, settled=settled)

    async def _drop(self, stored: StoredHook, *, drained: bool) -> None:
        hook_id, revision = stored.hook.id, stored.revision
        await self._until(hook_id, lambda: self._all_have(revision))
        await self._ask(self._topology.unbind_lane(hook_id), hook_id)
        await self._empty_lane(hook_id)
        # In-flight attempts elsewhere end by themselves: their copies now go to the orphans.
        await self._until(hook_id, lambda: self._all_have(revision, settled=True))
        await self._bury(hook_id)
        ended = await self._remains.ended(hook_id)
        await self._store.delete_hook(hook_id, "gone", time.time(), version=None)
        self._metrics.drop_hook(hook_id)
        self._metrics.drop_queue(self._topology.names.lane(hook_id))
        events.hooks.info(
            "hook.deleted",
            hook=hook_id,
            name=stored.hook.name,
            lane="drained" if drained else "dropped",
            deliveries=ended,
        )
        await self._in_force.changed()

    async def _bury(self, hook_id: str) -> None:
        """Mark the hook as gone: only the retry ladder can still deliver copies, which go to the orphans."""
        await self._ask(self._topology.unbind_lane(hook_id), hook_id)
        await self._empty_lane(hook_id)
        await self._ask(self._topology.delete("queue", self._topology.names.lane(hook_id)), hook_id)
        while await self._remains.end_waiting(hook_id, time.time(), _ENDED_AT_ONCE):
            await self._hold(hook_id)

    async def _until(self, hook_id: str, true: Callable[[], Awaitable[bool]]) -> None:
        while not await true():
            await asyncio.sleep(_LOOK)
            await self._hold(hook_id)

    async def _ask(self, work: Awaitable[None], hook_id: str) -> None:
        """Run a broker operation; without the permission the unused lane stays."""
        try:
            await work
        except BrokerRefused as error:
            log.warning("hook.lane_stays", hook=hook_id, error=str(error), advice="delete the queue by hand")

    async def _empty_lane(self, hook_id: str) -> None:
        lane = self._topology.names.lane(hook_id)
        if not await self._topology.depth(lane):
            return
        channel = self._channel()
        channel.subscribe(lane, _PREFETCH, self._receive)
        consuming = asyncio.create_task(channel.run(), name=f"empty {lane}")
        try:
            while channel.open or await self._topology.depth(lane):
                await asyncio.sleep(_LOOK)
                await channel.flush()
                await self._hold(hook_id)
        finally:
            await channel.close()
            consuming.cancel()
            await asyncio.gather(consuming, return_exceptions=True)


# Deliveries of deleted hooks that are not final: counted and ended.


_WAITING = sorted(str(status) for status in Status if status not in FINAL)
_DELETED = "hook_deleted"


def _waiting(connection: Connection, hook: str) -> int:
    c = deliveries.c
    counting = select(func.count()).where(c.hook == hook, c.status.in_(_WAITING))
    return connection.scalar(counting) or 0


def _end_waiting(connection: Connection, hook: str, at: float, limit: int) -> int:
    """Set up to `limit` of them to FAILED with reason `hook_deleted`; returns how many."""
    c = deliveries.c
    some = select(c.id).where(c.hook == hook, c.status.in_(_WAITING)).order_by(c.id).limit(limit)
    # Rows are locked in one order, as in the pipeline's commits, to avoid deadlocks.
    ids = list(connection.scalars(some.with_for_update()))
    if not ids:
        return 0
    connection.execute(
        update(deliveries)
        .where(c.id.in_(ids), c.status.in_(_WAITING))
        .values(status=str(Status.FAILED), reason=_DELETED, updated_at=at, next_attempt_at=None)
    )
    connection.execute(delete(outbox).where(outbox.c.delivery_id.in_(ids)))
    count_ends(connection, [(hook, str(Status.FAILED), at)] * len(ids))
    return len(ids)


def _ended(connection: Connection, hook: str) -> int:
    c = deliveries.c
    counting = select(func.count()).where(
        c.hook == hook, c.status == str(Status.FAILED), c.reason == _DELETED
    )
    return connection.scalar(counting) or 0


class SqlUnfinishedDeliveries(Store):
    """The store to the deliveries of a deleted hook that are not final. Each method raises HistoryUnavailable."""

    waiting = Reads(_waiting)
    end_waiting = Writes(_end_waiting)
    ended = Reads(_ended)
