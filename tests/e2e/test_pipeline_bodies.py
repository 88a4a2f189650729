"""Whatever a body holds, it arrives byte for byte, wherever it goes."""

import hashlib
import hmac
import json
import stat
from collections import Counter
from pathlib import Path

from tests.support.bridge_process import BridgeProcess
from tests.support.scene import Scene
from tests.support.waiting import until

SECRET = "it is no secret"

BODIES: list[bytes] = [
    b"",
    b" ",
    b"\n",
    b"\x00",
    b"\x00" * 4096,
    b"null",
    b"true",
    b"0",
    b"-0.0",
    b"1e400",
    b"NaN",
    b"-Infinity",
    b'""',
    b'"text"',
    b"[]",
    b"{}",
    b'  {"a" :  1 }\r\n',
    b'{"a":1}\n{"a":2}\n',
    b'{"a":1}trailing',
    b'\xef\xbb\xbf{"a":"byte order mark"}',
    b'\xff\xfe{\x00"\x00a\x00"\x00}\x00',
    '{"utf":16}'.encode("utf-16"),
    '{"utf":32}'.encode("utf-32"),
    b'{"a":NaN,"b":Infinity}',
    b'{"a":',
    b'{"a":"unterminated',
    b'{"a":1,}',
    b"{'a':1}",
    b'{"a":1,"a":2,"a":3}',
    b'{"":1}',
    b'{"a":"\xff\xfe\x80"}',
    b'{"a":"\xc0\x80"}',
    b'{"a":"\xed\xa0\x80"}',
    b'{"a":"\\ud83d"}',
    b'{"a":"\\udc00\\ud800"}',
    b'{"\\ud800":"\\u0000"}',
    b'{"a":"\\u0000"}',
    b'{"a":"tab\there"}',
    '{"a":"Ľubomír ☃ 𝄞 \u202e"}'.encode(),
    b'{"a":18446744073709551616}',
    b'{"a":-9223372036854775809}',
    b'{"a":0.1000000000000000055511151231257827}',
    b'{"a":' + b"9" * 5000 + b"}",
    b'{"a":1e-400}',
    b"[" * 2000 + b"]" * 2000,
    b'{"a":' * 500 + b"1" + b"}" * 500,
    b"[" * 2000,
    b'{"k":"' + b"x" * 300_000 + b'"}',
    bytes(range(256)),
    bytes(range(256)) * 1200,
    b"--------------\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    b"a=1&b=2",
    b"<?xml version='1.0'?><a/>",
    b'O:8:"stdClass":1:{s:1:"a";i:1;}',
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    b'{"type":"","data":{"model":"models\\\\admin\\\\A","action":"create"}}',
    b'{"data":{"model":5,"action":[]}}',
    b'{"data":"models"}',
    b'{"specversion":"1.0","type":7,"id":null,"source":[]}',
    b'{"event":{"type":"\\u0000"}}',
    b"'; DROP TABLE events; --",
    b'{"id":"\xe2\x80\xae"}',
]


def test_no_two_bodies_are_equal():
    assert len(set(BODIES)) == len(BODIES) > 60


def script_that_keeps_its_input(folder: Path) -> str:
    """Each run leaves a file with what it read, named by its digest and process id."""
    script = folder / "keep.sh"
    script.write_text('#!/bin/sh\nset -e\ncat > "kept/part.$$"\nmv "kept/part.$$" "kept/whole.$$"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    (folder / "kept").mkdir()
    return str(script)


NAMES = {
    "slashes": "a/b//c%2f",
    "unicode": "háčky ☃ 🐇",
    "punctuation": "a.b#c*d?e&f=g\"h'",
    "longest": "é" * 122 + "ab",
}


async def test_every_body_arrives_byte_for_byte_at_webhook_script_and_queue(scene: Scene):
    source = await scene.queue("hooks of the day")
    sink = await scene.queue("sink")
    hooks = [
        scene.webhook("web", target_profile="github", target_secrets=[SECRET], retry={"preset": "none"}),
        {
            "name": "program",
            "retry": {"preset": "none"},
            "target": {
                "type": "script",
                "command": [script_that_keeps_its_input(scene.folder)],
                "stdin": "body",
            },
        },
        {"name": "onward", "retry": {"preset": "none"}, "target": {"type": "queue", "queue": sink}},
    ]
    await scene.queues.publish(source, BODIES)
    async with scene.bridge(hooks, source) as bridge:
        await until(lambda: all_done(bridge, 3 * len(BODIES)), 30, what=bridge.last_words)
        await until(lambda: settled(bridge, len(BODIES)))
        metrics = await bridge.metrics()
        assert metrics("events_received_total", source="main") == len(BODIES)
        assert metrics("deliveries_total") == 3 * len(BODIES)
        await bridge.stop()
        for hook in hooks:
            assert bridge.history.statuses(hook["name"]) == {"SUCCESS": len(BODIES)}
            assert bridge.history.delivered_bodies(hook["name"]) == set(BODIES)
    assert await scene.queues.depth(source) == 0
    assert Counter(scene.endpoint.bodies("/web")) == Counter(BODIES)
    for request in scene.endpoint.received("/web"):
        digest = hmac.new(SECRET.encode(), request.body, hashlib.sha256).hexdigest()
        assert request.headers["X-Hub-Signature-256"] == f"sha256={digest}"
    kept = [file.read_bytes() for file in (scene.folder / "kept").glob("whole.*")]
    assert Counter(kept) == Counter(BODIES)
    assert Counter(message.body for message in await scene.queues.take_all(sink)) == Counter(BODIES)


async def test_queues_of_any_name_are_sources_and_targets(scene: Scene):
    sources = [{"name": kind, "queue": await scene.queue(name)} for kind, name in NAMES.items()]
    sinks = [await scene.queue(name[:100] + " to") for name in NAMES.values()]
    hooks = [
        {"name": source["name"], "sources": [source["name"]], "target": {"type": "queue", "queue": sink}}
        for source, sink in zip(sources, sinks, strict=True)
    ]
    for source in sources:
        await scene.queues.publish(source["queue"], [source["name"].encode()])
    async with scene.bridge(hooks, sources) as bridge:
        await until(lambda: all_done(bridge, len(sources)), what=bridge.last_words)
    for source, sink in zip(sources, sinks, strict=True):
        assert [message.body for message in await scene.queues.take_all(sink)] == [source["name"].encode()]
        assert await scene.queues.depth(source["queue"]) == 0


async def all_done(bridge: BridgeProcess, deliveries: int) -> bool:
    return await bridge.metric("deliveries_total", status="SUCCESS") >= deliveries


async def settled(bridge: BridgeProcess, events: int) -> bool:
    return await bridge.metric("events_settled_total", result="acked") == events


async def test_an_event_as_an_object_tells_what_the_body_cannot(scene: Scene):
    source = await scene.queue()
    hooks = [scene.webhook("web", target_body="event", retry={"preset": "none"})]
    bodies = [body for body in BODIES if len(body) < 300]
    await scene.queues.publish(source, bodies)
    async with scene.bridge(hooks, source) as bridge:
        await until(lambda: len(scene.endpoint.received("/web")) == len(bodies), what=bridge.last_words)
    for request in scene.endpoint.received("/web"):
        assert {"id", "type", "source", "time", "identity"} < set(json.loads(request.body))
