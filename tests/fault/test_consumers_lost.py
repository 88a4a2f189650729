"""The broker ends a consumer, or forgets it: consumed anew, counted, and nothing lost."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

from devtools.rabbitmq import RabbitMQNode
from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import OK, hang, slow, status
from tests.support.measured import measured
from tests.support.scene import Scene
from tests.support.stream import Stream, numbered, one_source
from tests.support.waiting import until

FORGET = """\
lists:foreach(
    fun (Name) ->
        {{ok, Queue}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, Name)),
        Pid = amqqueue:get_pid(Queue),
        [case amqqueue:get_type(Queue) of
             rabbit_classic_queue ->
                 ok = gen_server2:call(Pid, {{basic_cancel, Channel, Tag, undefined, <<"guest">>}});
             rabbit_quorum_queue ->
                 {{ok, _, _}} = ra:process_command(Pid, rabbit_fifo:make_checkout({{Tag, Channel}}, cancel, #{{}}))
         end || {{Channel, Tag, _, _, _, _, _, _}} <- rabbit_amqqueue:consumers(Queue)]
    end,
    [<<"{source}">>, <<"{lane}">>]).
"""
"""Consumers are taken off their queues, and nobody is told."""


@pytest.fixture
def impatient(node: RabbitMQNode) -> Iterator[None]:
    """Channels that are opened meanwhile wait two seconds for an ack, and look each half second."""
    usual = node.rabbitmqctl("eval", "application:get_env(rabbit, consumer_timeout, 0).").strip()
    set_patience(node, "2000", "500")
    yield
    set_patience(node, usual.removeprefix("{ok,").removesuffix("}"), "60000")


def set_patience(node: RabbitMQNode, timeout: str, tick: str) -> None:
    node.rabbitmqctl(
        "eval",
        f"application:set_env(rabbit, consumer_timeout, {timeout}), "
        f"application:set_env(rabbit, channel_tick_interval, {tick}).",
    )


@pytest.mark.usefixtures("impatient")
async def test_what_hangs_longer_than_the_brokers_patience_is_handed_out_again_and_lost_nowhere(
    harmed: Scene, node: RabbitMQNode
):
    source = await harmed.queue()
    harmed.endpoint.script("/crm", *[hang] * 3, OK)
    hook = harmed.webhook("crm", target_timeout="4s", retry={"schedule": ["0s"], "max_attempts": 1000})
    async with harmed.bridge([hook], one_source(source)) as bridge:
        stream = Stream(harmed, node, bridge, source, 100)
        await harmed.queues.publish(source, numbered(100))
        await until(lambda: lost(bridge, "timeout"), 20, what=bridge.last_words)
        assert not bridge.said("connection.lost")
        await stream.complete()
        measured(repeated=stream.repeated)
        assert stream.repeated <= 2 * 3  # what hung came again; all the rest had been settled


async def lost(bridge: BridgeProcess, reason: str) -> float:
    return await bridge.metric("consumers_lost_total", reason=reason)


async def test_consumers_that_the_broker_forgot_are_noticed_by_the_silence(harmed: Scene, node: RabbitMQNode):
    source = await harmed.queue()
    sources = [{"name": "main", "queue": source, "prefetch": 8}]
    harmed.endpoint.script(
        "/crm", status(500), OK, status(500), OK
    )  # the second attempts come out of the lane
    hook = harmed.webhook("crm", retry={"schedule": ["0s"]})
    async with harmed.bridge([hook], sources, broker={"silent_after": "1s"}) as bridge:
        await harmed.queues.publish(source, [b"before"])
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 1}, what=bridge.last_words)
        lane = harmed.lane("crm")
        await asyncio.to_thread(node.rabbitmqctl, "eval", FORGET.format(source=source, lane=lane))
        assert [await harmed.queues.consumers(queue) for queue in (source, lane)] == [0, 0]
        await harmed.queues.publish(source, [b"after"])
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 2}, what=bridge.last_words)
        assert await lost(bridge, "silent") == 2
        assert [line["queue"] for line in bridge.said("consumer.silent")] == [source, lane]
        # Who has enough to do is not taken for silent, however much waits.
        harmed.endpoint.script("/crm", slow(1.1))
        await harmed.queues.publish(source, numbered(12))
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 14}, 20, what=bridge.last_words)
        assert await lost(bridge, "silent") == 2
    assert Counter(harmed.endpoint.bodies("/crm")) == Counter(
        {b"before": 2, b"after": 2, **dict.fromkeys(numbered(12), 1)}
    )
