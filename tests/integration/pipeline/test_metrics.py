"""What /metrics says of a running bridge beside what single tests look at."""

import aiohttp

from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import hang
from tests.support.operating import HTTP, operating
from tests.support.scene import Scene
from tests.support.waiting import until


async def scraped(bridge: BridgeProcess) -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{bridge.url}/metrics") as answer,
    ):
        assert answer.status == 200
        assert answer.content_type == "text/plain"
        return await answer.text()


async def test_a_consumer_is_missed_only_where_one_is_meant_to_be(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", hang)
    crm = scene.webhook("crm", paused=True)
    async with scene.bridge([crm], source, http=HTTP) as bridge, operating(bridge) as operator:
        await scene.queues.publish(source, [b"{}"])
        await until(lambda: scene.queues.depth(scene.lane("crm")))
        await until(lambda: has_depths(bridge), what=bridge.last_words)
        text = await scraped(bridge)
        up = {line for line in text.splitlines() if line.startswith("bridge_consumer_up{")}
        prefix = scene.prefix
        consumed = (source, f"{prefix}.events", f"{prefix}.orphans", f"{prefix}.dead")
        assert up == {f'bridge_consumer_up{{queue="{queue}"}} 1.0' for queue in consumed}
        await operator.post("/hooks/crm/resume")
        lane = {"queue": scene.lane("crm")}
        await until(lambda: is_consumed(bridge, **lane), what=bridge.last_words)
        assert "process_resident_memory_bytes" in text
        assert "python_info" in text


async def has_depths(bridge: BridgeProcess) -> bool:
    metrics = await bridge.metrics()
    return metrics.has("queue_depth") and metrics("history_bytes") > 0 and metrics.has("quarantine_size")


async def is_consumed(bridge: BridgeProcess, **labels: str) -> bool:
    return await bridge.metric("consumer_up", **labels) == 1
