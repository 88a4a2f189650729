"""What inflates or holds too much is delivered as it came, without data and with the reason, and holds up nobody."""

import asyncio
import base64
import gzip
import json
import os
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.bridge_process import BridgeProcess
from tests.support.scene import Scene
from tests.support.waiting import until

MIB = 1024 * 1024
BUDGET = 64 * MIB
TOKEN = "a token for large bodies"
BOMB = gzip.compress(b"[" + b'{"a":1},' * 5_000_000 + b"1]")
"""40 MB, which would be a gigabyte as values."""
TEXT = gzip.compress(json.dumps({"text": "x" * 15 * MIB, "kind": "long"}).encode())


def resident(bridge: BridgeProcess) -> int:
    lines = Path(f"/proc/{bridge.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


async def test_bombs_from_a_queue_an_inlet_and_explain_cost_no_more_than_their_bound(scene: Scene):
    source = await scene.queue()
    as_it_is = {"Content-Encoding": "x-untouched"}  # else the endpoint's server inflates what it is sent
    hooks = [
        scene.webhook("all", target_headers=as_it_is),
        scene.webhook("long", filter='event.data.kind == "long"', target_body="data"),
    ]
    sections = {"limits": {"memory": BUDGET}, "http": {"admin_token": TOKEN}}
    async with scene.prepared(hooks, source, **sections) as bridge:
        bridge.write(inlets=[{"name": "open", "source": "main", "open": True}])
        await bridge.start()
        before, peak = resident(bridge), 0
        done = asyncio.Event()

        async def watch() -> None:
            nonlocal peak
            while not done.is_set():
                peak = max(peak, resident(bridge) - before)
                await asyncio.sleep(0.005)

        watching = asyncio.create_task(watch())
        await scene.queues.publish(source, [BOMB, TEXT] * 3, content_encoding="gzip")
        answers = await asyncio.gather(*(post(bridge, BOMB) for _ in range(6)))
        assert answers == [200] * 6
        await until(lambda: bridge.history.statuses("all") == {"SUCCESS": 12}, 40, what=bridge.last_words)
        told = await explained(bridge, BOMB)
        done.set()
        await watching
        assert bridge.history.statuses("long") == {"SUCCESS": 3}
        assert sorted(scene.endpoint.bodies("/all")) == sorted([BOMB] * 9 + [TEXT] * 3)
        assert told["data"] is None
        assert "limits.inflated" in told["data_fault"]
        assert peak < 1.5 * BUDGET + 4 * 16 * MIB  # and what is made of one body of 16 MiB


async def post(bridge: BridgeProcess, body: bytes) -> int:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{bridge.url}/in/open", data=body, headers=headers) as response,
    ):
        return response.status


async def explained(bridge: BridgeProcess, body: bytes) -> dict[str, Any]:
    message = {"body_base64": base64.b64encode(body).decode(), "properties": {"content_encoding": "gzip"}}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{bridge.url}/api/v1/explain", json=message, headers=headers) as response,
    ):
        event: dict[str, Any] = (await response.json())["events"][0]
        return event


async def test_events_go_on_in_the_order_of_their_source_although_large_ones_take_longer_to_read(
    scene: Scene,
):
    source = await scene.queue()
    hook = scene.webhook("crm", concurrency=1)
    async with scene.bridge([hook], source) as bridge:
        bodies = []
        for number in range(4):
            bodies += [
                json.dumps({"n": number, "text": "x" * MIB}).encode(),
                json.dumps({"n": number}).encode(),
            ]
        await scene.queues.publish(source, bodies)
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 8}, what=bridge.last_words)
        assert scene.endpoint.bodies("/crm") == bodies


async def test_a_flood_of_small_messages_with_many_values_holds_the_event_loop_for_less_than_a_moment(
    scene: Scene,
):
    """Measured in the CPU time of the loop's own thread while one request waits: it is the same on a busy machine."""
    source = await scene.queue()
    hooks = [
        scene.webhook("few", filter='event.data.rows.exists(each, each == "z") || event.data.kind == "q"')
    ]
    # An integer beyond 64 bits, so that the engine does not take the value as it is.
    body = b'{"rows":[12345678901234567890123' + b",[]" * 1300 + b'],"kind":"other"}'
    async with scene.bridge(hooks, source) as bridge:
        done, longest = asyncio.Event(), 0.0

        async def ask() -> None:
            nonlocal longest
            async with aiohttp.ClientSession() as session:
                while not done.is_set():
                    before = of_the_loop(bridge)
                    async with session.get(f"{bridge.url}/health/live") as response:
                        assert response.status == 200
                    longest = max(longest, of_the_loop(bridge) - before)

        asking = asyncio.create_task(ask())
        await scene.queues.publish(source, [body] * 1000)
        await until(
            lambda: bridge.history.rows("SELECT count(*) FROM events") == [(1000,)],
            60,
            what=bridge.last_words,
        )
        done.set()
        await asking
        assert longest < 0.3


def of_the_loop(bridge: BridgeProcess) -> float:
    """Seconds of CPU time of the process's first thread."""
    fields = Path(f"/proc/{bridge.pid}/task/{bridge.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
