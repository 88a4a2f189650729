"""Messages that are larger than the broker takes: the largest that it takes come through, larger ones end with a reason."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

from devtools.rabbitmq import RabbitMQNode
from tests.support.bridge_process import BridgeProcess
from tests.support.scene import Scene
from tests.support.waiting import until

LARGE = bytes(range(256)) * (16 * 1024 * 4)
"""16 MiB."""
LOWERED = 1024**2


@pytest.fixture
def most(node: RabbitMQNode) -> Iterator[None]:
    """The node has its limit of message sizes back in the end."""
    usual = node.rabbitmqctl(
        "eval", "{ok, Most} = application:get_env(rabbit, max_message_size), Most."
    ).strip()
    yield
    set_most(node, usual)


def set_most(node: RabbitMQNode, most: str) -> None:
    """Channels that are opened from now on take no larger messages."""
    node.rabbitmqctl("eval", f"application:set_env(rabbit, max_message_size, {most}).")


@pytest.mark.usefixtures("most")
async def test_what_the_broker_does_not_take_back_fails_with_its_reason_and_disturbs_nobody(
    harmed: Scene, node: RabbitMQNode
):
    source = await harmed.queue()
    hooks = [harmed.webhook("crm"), harmed.webhook("waits", paused=True)]
    async with harmed.bridge(hooks, source) as bridge:
        await harmed.queues.publish(source, [LARGE])
        await until(lambda: bridge.history.statuses("waits") == {"PENDING": 1}, 20, what=bridge.last_words)
        await bridge.reload([hooks[0], hooks[1] | {"paused": False}])
        await until(lambda: bridge.history.statuses("waits") == {"SUCCESS": 1}, 20, what=bridge.last_words)
        await bridge.stop()
        await harmed.queues.publish(source, [LARGE, b"small"])
        await asyncio.to_thread(set_most, node, str(LOWERED))
        bridge.write(hooks=hooks)
        await bridge.start()
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 3}, 20, what=bridge.last_words)
        final = {"SUCCESS": 1, "FAILED": 1, "PENDING": 1}
        await until(lambda: bridge.history.statuses("waits") == final, 20, what=bridge.last_words)
        ((reason,),) = bridge.history.rows("SELECT reason FROM deliveries WHERE status = 'FAILED'")
        told = f"cannot wait on the broker: body of {len(LARGE)} bytes is over the limit of {LOWERED}"
        assert reason == f"{told} (limits.body, or max_message_size of the broker)"
        await until(lambda: all_acked(bridge), what=bridge.last_words)
    assert Counter(harmed.endpoint.bodies("/crm")) == Counter({LARGE: 2, b"small": 1})
    assert harmed.endpoint.bodies("/waits") == [LARGE]


async def all_acked(bridge: BridgeProcess) -> bool:
    return bool(await bridge.metric("events_settled_total", result="acked") == 2)
