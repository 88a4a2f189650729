"""What /metrics says of a running bridge beside what single tests look at."""

import re
import time

import aiohttp

from tests.support.bridge_process import BridgeProcess, Metrics
from tests.support.certificates import Authority
from tests.support.endpoint import hang
from tests.support.operating import HTTP, operating
from tests.support.scene import Scene
from tests.support.waiting import until

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


async def scraped(bridge: BridgeProcess, accept: str = "text/plain") -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{bridge.url}/metrics", headers={"Accept": accept}) as answer,
    ):
        assert answer.status == 200
        assert answer.content_type == accept.partition(";")[0]
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


async def test_exemplars_name_deliveries_for_whoever_accepts_openmetrics(scene: Scene):
    source = await scene.queue()
    async with (
        scene.bridge([scene.webhook("crm")], source, http=HTTP) as bridge,
        operating(bridge) as operator,
    ):

        async def exemplar() -> str | None:
            """Deliveries that come before the first scrape that asks are no examples."""
            text = await scraped(bridge, OPENMETRICS)
            assert text.endswith("# EOF\n")
            await scene.queues.publish(source, [b"{}"])
            found = re.search(r'event_age_seconds_bucket.* # \{delivery_id="([^"]+)"\}', text)
            return found and found[1]

        delivery = await until(exemplar, what=bridge.last_words)
        found = await operator.get(f"/deliveries/{delivery}")
        assert (found["hook"], found["status"]) == ("crm", "SUCCESS")
        assert "delivery_id" not in await scraped(bridge)


async def test_what_ends_at_a_known_time_is_told(scene: Scene):
    source = await scene.queue()
    authority = Authority(scene.folder)
    short, long = authority.issue("short", days=3), authority.issue("long", days=20)
    missing = {"client_cert": str(scene.folder / "none.pem"), "client_key": str(scene.folder / "none.key")}
    hooks = [
        scene.webhook("short", target_tls=short.as_client),
        scene.webhook("long", target_tls=long.as_client),
        scene.webhook("broken", target_tls=missing),
        scene.webhook("without"),
    ]
    async with scene.prepared(hooks, source, http=HTTP) as bridge:
        await bridge.start()
        async with operating(bridge) as operator:
            for name, lasts in (("task", "1h"), ("grafana", "90d"), ("forever", None)):
                await operator.post(
                    "/tokens", {"name": name, "role": "viewer", "expires_in": lasts}, status=201
                )
        await bridge.stop()
        await bridge.start()
        metrics = await until(lambda: with_expiry(bridge), what=bridge.last_words)
        day = 86_400
        ends = {name: metrics("certificate_expiry_timestamp_seconds", use=f"hook:{name}") for name in NAMES}
        days = {name: round((at - time.time()) / day) for name, at in ends.items() if at}
        assert days == {"short": 3, "long": 20}
        assert round((metrics("token_expiry_timestamp_seconds") - time.time()) / day) == 90
        assert metrics("source_info", source="main", queue=source) == 1
        assert metrics("database_up") == 1
        await bridge.stop()


NAMES = ("short", "long", "broken", "without")


async def with_expiry(bridge: BridgeProcess) -> Metrics | None:
    metrics = await bridge.metrics()
    return metrics if metrics.has("token_expiry_timestamp_seconds") and metrics.has("database_up") else None


async def has_depths(bridge: BridgeProcess) -> bool:
    metrics = await bridge.metrics()
    return metrics.has("queue_depth") and metrics("history_bytes") > 0 and metrics.has("quarantine_size")


async def is_consumed(bridge: BridgeProcess, **labels: str) -> bool:
    return await bridge.metric("consumer_up", **labels) == 1
