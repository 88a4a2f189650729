"""The broker is away or takes nothing: who publishes through the API is told at once, and nothing appears later."""

import asyncio
import time

import pytest

from devtools.rabbitmq import RabbitMQNode
from tests.fault.test_inlets_broker import harm, mend
from tests.support.operating import HTTP, operating
from tests.support.scene import Scene
from tests.support.waiting import until


@pytest.mark.parametrize("kind", ["stop_app", "alarm"])
async def test_a_publisher_gets_503_and_may_ask_again_with_its_key(
    harmed: Scene, node: RabbitMQNode, kind: str
):
    source = await harmed.queue()
    broker = {"heartbeat": "3s", "connect_timeout": "2s"}
    hooks = [harmed.webhook("crm")]
    async with (
        harmed.bridge(hooks, source, broker=broker, http=HTTP) as bridge,
        operating(bridge) as operator,
    ):
        await operator.post("/events", {"data": "before"}, status=202)
        done = await operator.only_delivery("crm", "SUCCESS")
        await asyncio.to_thread(harm, node, kind)
        try:
            for number in range(3):
                started = time.monotonic()
                answer = await operator.ask(
                    "POST", "/events", {"data": number}, Idempotency_Key=f"key-{number}"
                )
                assert time.monotonic() - started < 2
                assert (answer.status, int(answer.headers["Retry-After"]) > 0) == (503, True), answer.body
            await operator.post(f"/deliveries/{done['id']}/retry", status=202)
        finally:
            await asyncio.to_thread(mend, node, kind)

        async def accepted() -> bool:
            answer = await operator.ask("POST", "/events", {"data": 0}, Idempotency_Key="key-0")
            return answer.status == 202

        await until(accepted, 30, what=bridge.last_words)
        # What was asked for while the broker was away is done by itself.
        await until(
            lambda: harmed.endpoint.bodies("/crm").count(b'"before"') == 2, 40, what=bridge.last_words
        )
        await until(lambda: harmed.endpoint.bodies("/crm").count(b"0") == 1, what=bridge.last_words)
        await bridge.stop()
    assert sorted(set(harmed.endpoint.bodies("/crm"))) == [b'"before"', b"0"]
