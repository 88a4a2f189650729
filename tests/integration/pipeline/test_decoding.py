"""Decoding in a running bridge: the same event directly and through a lane, batches, and schemas."""

import gzip
import json
from pathlib import Path

from tests.support.scene import Scene
from tests.support.waiting import until

SAMPLE = Path(__file__).parents[2] / "data/publishers/splynx/queue_customer_create.json"
CLOUD_EVENT = {"specversion": "1.0", "type": "order.paid", "source": "/shop", "data": {"data": 1}}


async def test_an_event_is_the_same_directly_and_through_a_lane(scene: Scene):
    source = await scene.queue()
    batch = json.dumps([CLOUD_EVENT | {"id": "1"}, CLOUD_EVENT | {"id": "2"}]).encode()
    died = {"x-death": [{"count": 1, "reason": "rejected", "queue": "q", "exchange": ""}]}
    await scene.queues.publish(source, [SAMPLE.read_bytes()], headers=died)
    await scene.queues.publish(source, [gzip.compress(SAMPLE.read_bytes())], content_encoding="gzip")
    await scene.queues.publish(source, [batch], content_type="application/cloudevents-batch+json")
    template = '{{ event.data }} {{ event.format }} {{ "x-death" in event.headers }}'
    fields = {"target_body": "template", "target_template": template}
    hooks = [
        scene.webhook("direct", **fields),
        scene.webhook("lane", target_timeout=31, **fields),
        scene.webhook("raw", events=["customers.#"]),
    ]
    async with scene.bridge(hooks, source) as bridge:
        await until(
            lambda: bridge.history.statuses("direct") == bridge.history.statuses("lane") == {"SUCCESS": 4},
            what=bridge.last_words,
        )
        await until(lambda: bridge.history.statuses("raw") == {"SUCCESS": 2}, what=bridge.last_words)
    assert await scene.queues.depth(source) == 0
    assert sorted(scene.endpoint.bodies("/direct")) == sorted(scene.endpoint.bodies("/lane"))
    assert len(set(scene.endpoint.bodies("/direct"))) == 3
    assert b'"data":{' not in b"".join(scene.endpoint.bodies("/lane"))
    # The endpoint undoes the coding that the header names, so the bytes that came were the compressed ones.
    codings = {each.headers.get("Content-Encoding"): each.body for each in scene.endpoint.received("/raw")}
    assert codings == {None: SAMPLE.read_bytes(), "gzip": SAMPLE.read_bytes()}
    assert len(bridge.history.rows("SELECT id FROM events")) == 4


async def test_what_does_not_fit_the_schema_is_quarantined_with_the_path_of_its_fault(scene: Scene):
    source = await scene.queue()
    (scene.folder / "order.json").write_text(
        '{"properties": {"data": {"properties": {"data": {"maximum": 1}}}}}'
    )
    bad = CLOUD_EVENT | {"id": "2", "data": {"data": 5}}
    batch = json.dumps([CLOUD_EVENT | {"id": "1"}, bad]).encode()
    await scene.queues.publish(source, [b'{"data":{"data":2}}', b"no json", b'{"data":{"data":1}}'])
    await scene.queues.publish(source, [batch], content_type="application/cloudevents-batch+json")
    sources = [{"name": "main", "queue": source, "schema": "order.json"}]
    async with scene.bridge([scene.webhook("crm")], sources) as bridge:
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 2}, what=bridge.last_words)
        await until(lambda: len(bridge.history.rows("SELECT id FROM quarantine")) == 3)
        assert await bridge.metric("events_quarantined_total", source="main", reason="schema_mismatch") == 3
    assert await scene.queues.depth(source) == 0
    told = {
        bytes(body): detail for body, detail in bridge.history.rows("SELECT body, detail FROM quarantine")
    }
    assert told[b'{"data":{"data":2}}'] == "$.data.data: 2 is greater than the maximum of 1"
    assert told[b"no json"].startswith("$: the body is not JSON: line 1, column 1")
    assert told[json.dumps(bad).encode()] == "$.data.data: 5 is greater than the maximum of 1"


async def test_a_message_of_hundreds_of_events_is_delivered_whole_before_those_that_came_later(scene: Scene):
    source = await scene.queue()
    batch = json.dumps([CLOUD_EVENT | {"id": str(number), "data": number} for number in range(300)]).encode()
    late = json.dumps(CLOUD_EVENT | {"id": "late", "data": "late"}).encode()
    async with scene.bridge([scene.webhook("crm", target_body="data", concurrency=1)], source) as bridge:
        await scene.queues.publish(source, [batch], content_type="application/cloudevents-batch+json")
        await scene.queues.publish(source, [late], content_type="application/cloudevents+json")
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 301}, 30, what=bridge.last_words)
    assert scene.endpoint.bodies("/crm") == [*(str(number).encode() for number in range(300)), b'"late"']
    assert await scene.queues.depth(source) == 0
