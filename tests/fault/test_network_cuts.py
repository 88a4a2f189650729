"""The network between bridge and broker is narrow, ends within a frame, or on one side only."""

from devtools.rabbitmq import RabbitMQNode
from tests.fault.test_network import through
from tests.support.proxy import open_proxy
from tests.support.scene import Scene
from tests.support.stream import PREFETCH, QUICK, Stream, a_source_with_events, one_source
from tests.support.waiting import until


async def test_a_narrow_network_costs_time_and_cuts_within_a_frame_or_on_one_side_are_got_over(
    harmed: Scene, node: RabbitMQNode
):
    source = await a_source_with_events(harmed, 200)
    hook = harmed.webhook("crm", concurrency=4)
    async with open_proxy(node.amqp_port) as proxy:
        url = through(harmed, proxy.port)
        async with harmed.bridge([hook], one_source(source), amqp_url=url, broker=QUICK) as bridge:
            stream = Stream(harmed, node, bridge, source, 200)
            proxy.rate = 10_000
            await stream.under_way(40)
            assert not bridge.said("connection.lost")
            proxy.rate, proxy.cut_after = None, 1001
            await until(lambda: bridge.said("connection.lost"), what=bridge.last_words)
            assert proxy.cut_after is None
            await stream.under_way(80)
            lost = len(bridge.said("connection.lost"))
            # From now on the bridge alone believes in these connections.
            proxy.cut_server_side()
            await until(lambda: len(bridge.said("connection.lost")) >= lost + 3, what=bridge.last_words)
            await stream.complete()
            assert stream.repeated <= 2 * PREFETCH


async def test_a_connection_that_is_lost_while_it_starts_does_not_end_the_bridge(
    harmed: Scene, node: RabbitMQNode
):
    source = await a_source_with_events(harmed, 10)
    async with open_proxy(node.amqp_port) as proxy:
        url = through(harmed, proxy.port)
        async with harmed.prepared(
            [harmed.webhook("crm")], one_source(source), amqp_url=url, broker=QUICK
        ) as bridge:
            # Three handshakes are through, what stands on the broker is being declared.
            proxy.cut_after = 5000
            await bridge.start()
            assert bridge.said("start.connection_lost")
            await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 10}, what=bridge.last_words)
