"""What stands on the broker, and sources by their publishers' rules."""

import asyncio

import pytest

from bridge.amqp.kinds import Contract, SourceQueues
from bridge.amqp.topology import Names, Topology
from bridge.core.errors import BrokerRefused
from tests.support.links import running_link, unique
from tests.support.waiting import until


@pytest.fixture
def told():
    return {}


@pytest.fixture
def topology(link):
    return Topology(link, Names(unique("t")))


@pytest.fixture
def sources(link, topology, told):
    return SourceQueues(link, topology, contract=told.__setitem__)


async def declare(link, queue, **how):
    async with link.channel() as channel:
        await channel.declare_queue(queue, **how)


@pytest.mark.parametrize("name", ["plain", "with spaces", "a/b/c", "žluťoučký kůň 🐎", "x" * 255, "ü" * 127])
async def test_a_missing_source_is_made_as_its_publishers_make_it(link, sources, told, name):
    name = name if len(name.encode()) > 240 else unique(name)
    assert await sources.prepare(name)
    assert told == {name: Contract.KEPT}

    await declare(link, name, durable=True)  # 406 if it were declared otherwise
    async with link.channel() as channel:
        await channel.queue_delete(name)


async def test_a_source_with_a_long_name_that_differs_costs_the_connection_once_at_the_most(
    link, sources, told
):
    """RabbitMQ 4 closes the connection over a refusal that it cannot put into words; it is not asked again."""
    queue = unique("ü" * 80)
    await declare(link, queue, durable=True, arguments={"x-max-length": 10})
    if not await sources.prepare(queue):
        await until(lambda: asked_again(sources, queue), what="the source is never ready")
        assert told == {queue: Contract.UNKNOWN}
    else:
        assert told == {queue: Contract.BROKEN}
    async with link.channel() as channel:
        await channel.queue_delete(queue)


async def asked_again(sources, queue):
    return await sources.prepare(queue)


async def test_a_source_with_the_right_parameters_keeps_the_contract(link, sources, told):
    queue = unique("source")
    await declare(link, queue, durable=True)

    assert await sources.prepare(queue)
    assert told == {queue: Contract.KEPT}


@pytest.mark.parametrize("how", [{"arguments": {"x-max-length": 10}, "durable": True}, {"durable": False}])
async def test_a_source_declared_otherwise_is_told_of_and_consumed_anyway(link, sources, told, how):
    queue = unique("source")
    await declare(link, queue, **how)

    assert await sources.prepare(queue)
    assert told == {queue: Contract.BROKEN}


async def test_a_source_that_is_declared_otherwise_later_is_noticed_on_the_same_connection(
    link, topology, sources, told
):
    queue, gone = unique("source"), unique("gone")
    await declare(link, queue, durable=True)
    await sources.prepare(queue)
    async with link.channel() as channel:
        await channel.queue_delete(queue)
    await declare(link, queue, durable=True, arguments={"x-max-length": 10})

    await sources.prepare(queue)
    assert told == {queue: Contract.KEPT}
    await sources.compare_again([queue, gone])
    assert told == {queue: Contract.BROKEN}
    assert await topology.depth(gone) is None


async def test_whoever_may_only_verify_cannot_know_how_a_source_was_declared(link, told):
    queue = unique("source")
    await declare(link, queue, durable=True, arguments={"x-max-priority": 5})

    only_looked_at = Topology(link, Names(unique("t")), verify_only=True)
    assert await SourceQueues(link, only_looked_at, verify_only=True, contract=told.__setitem__).prepare(
        queue
    )
    assert told == {queue: Contract.UNKNOWN}


async def test_the_shared_objects_can_be_made_again_and_verified(link, topology):
    await topology.ensure_base()
    await topology.ensure_base()

    await Topology(link, topology.names, verify_only=True).ensure_base()


async def test_verifying_what_is_not_there_says_what_is_missing(link):
    with pytest.raises(BrokerRefused, match="verify"):
        await Topology(link, Names(unique("t")), verify_only=True).ensure_base()


async def test_an_object_of_ours_with_other_arguments_is_told_with_what_to_do(link):
    names = Names(unique("t"))
    await declare(link, names.orphans, durable=True)

    with pytest.raises(BrokerRefused, match=r"broker\.prefix"):
        await Topology(link, names).ensure_base()


async def test_depths_of_many_queues_skip_the_missing_ones(link, topology):
    there = [unique("q") for _ in range(3)]
    for queue in there:
        await declare(link, queue, durable=True)

    found = await topology.depths([unique("missing"), *there, unique("missing")])
    assert found == dict.fromkeys(there, 0)


async def test_an_exclusive_claim_has_one_holder_until_its_connection_ends(amqp_url, topology):
    queue = unique("claim")
    assert await topology.claim(queue)

    async with running_link(amqp_url) as other:
        assert not await Topology(other, topology.names).claim(queue)


async def test_lanes_are_made_once_and_found_again(topology):
    await topology.ensure_base()
    hook = unique("hook")

    lane = topology.names.lane(hook)
    assert await topology.depth(lane) is None
    await asyncio.gather(*(topology.ensure_lane(hook) for _ in range(5)))
    assert await topology.depth(lane) == 0
