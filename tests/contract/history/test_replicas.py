"""Who is there, who does what only one may do, and what of a deleted hook is left: on both databases."""

import asyncio
import time

import pytest

from bridge.core.delivery import Record, Status
from bridge.core.records import Replica
from bridge.history.history import SqlHistory
from bridge.history.leases import SqlReplicas
from bridge.hooks.deletion import SqlUnfinishedDeliveries
from bridge.stats.store import SqlStatistics
from tests.support.records import a_delivery


@pytest.fixture
def replicas(history: SqlHistory) -> SqlReplicas:
    return SqlReplicas(history.engine)


@pytest.fixture
def remains(history: SqlHistory) -> SqlUnfinishedDeliveries:
    return SqlUnfinishedDeliveries(history.engine)


def replica(name: str, revision: int = 0, settled: int = 0) -> Replica:
    return Replica(name, "host:1", "queue,webhook", 1000.5, 0.0, revision, settled)


async def test_a_replica_is_there_as_it_was_seen_last(replicas: SqlReplicas):
    await replicas.seen(replica("a", 1))
    await replicas.seen(replica("b", 1))
    await replicas.seen(replica("a", 7, 5))
    first, second = await replicas.replicas(15)
    assert (first.id, first.revision, first.settled) == ("a", 7, 5)
    assert (first.host, first.targets, first.started_at) == ("host:1", "queue,webhook", 1000.5)
    assert abs(first.seen_at - time.time()) < 5
    assert (second.id, second.revision) == ("b", 1)


async def test_one_that_was_not_seen_for_long_is_not_there(replicas: SqlReplicas):
    await replicas.seen(replica("a"))
    assert not await replicas.replicas(-1)


async def test_one_that_left_is_not_there_and_has_no_leases(replicas: SqlReplicas):
    await replicas.seen(replica("a"))
    assert await replicas.lease("work", "a", 60)
    await replicas.leave("a")
    assert not await replicas.replicas(15)
    assert await replicas.lease("work", "b", 60)


async def test_a_lease_is_one_holders_until_it_ends(replicas: SqlReplicas):
    assert await replicas.lease("work", "a", 60)
    assert not await replicas.lease("work", "b", 60)
    assert await replicas.lease("work", "a", 60)
    assert await replicas.lease("other work", "b", 60)
    await replicas.release("work", "b")
    assert not await replicas.lease("work", "b", 60)
    await replicas.release("work", "a")
    assert await replicas.lease("work", "b", -1)
    assert await replicas.lease("work", "a", 60)


async def test_a_lease_from_before_the_clock_was_set_back_holds_nobody_up(replicas: SqlReplicas):
    assert await replicas.lease("work", "a", 3 * 3600)
    assert await replicas.lease("work", "b", 60)
    assert not await replicas.lease("work", "a", 60)


async def test_of_many_who_ask_at_once_one_gets_the_lease(replicas: SqlReplicas):
    asked = await asyncio.gather(*(replicas.lease("work", f"r{number}", 60) for number in range(8)))
    assert asked.count(True) == 1


async def record(history: SqlHistory, hook: str, status: Status, reason: str = "") -> str:
    delivery = a_delivery(hook=hook)
    await history.commit([Record(delivery, "webhook", status, reason, time.time())])
    return delivery.id


async def test_what_waits_for_a_deleted_hook_is_ended_and_nothing_else(
    history: SqlHistory, remains: SqlUnfinishedDeliveries
):
    ended = [await record(history, "gone", status) for status in (Status.PENDING, Status.RETRYING) * 3]
    kept = [
        await record(history, "gone", Status.SUCCESS),
        await record(history, "gone", Status.FAILED, "timeout"),
        await record(history, "other", Status.RETRYING),
    ]
    before = [await history.delivery(one) for one in kept]
    assert (await remains.waiting("gone"), await remains.ended("gone")) == (6, 0)
    assert [await remains.end_waiting("gone", time.time(), 4) for _ in range(3)] == [4, 2, 0]
    assert (await remains.waiting("gone"), await remains.ended("gone")) == (0, 6)
    for one in ended:
        found = await history.delivery(one)
        assert found is not None
        assert (found[0].status, found[0].reason) == (Status.FAILED, "hook_deleted")
    assert [await history.delivery(one) for one in kept] == before
    assert await remains.waiting("other") == 1
    assert (
        await SqlStatistics(history.engine).sums("gone", 0, 60 * (int(time.time()) // 60 + 2))
    ).failed == 7
