"""The system's clock is set by hours while retries wait."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from bridge.pipeline import deliver, fencing
from tests.support import events
from tests.support.endpoint import OK, status
from tests.support.scene import Scene
from tests.support.waiting import until

WAIT = 3.0
HOURS = 3
FAKED = [*Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")]


@pytest.mark.skipif(not FAKED, reason="libfaketime, which sets a process's clock, is not installed")
@pytest.mark.parametrize("step", [f"-{HOURS}h", f"+{HOURS}h"])
async def test_a_retry_comes_after_its_wait_however_the_clock_is_set(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, step: str
):
    clock = scene.folder / "clock"
    clock.write_text("+0")
    for name, text in faking(clock):
        monkeypatch.setenv(name, text)
    source = await scene.queue()
    scene.endpoint.script("/crm", status(503), OK)
    hook = scene.webhook("crm", retry={"schedule": [WAIT], "jitter": 0})
    async with scene.prepared([hook], source) as bridge:
        bridge.from_nothing = True
        await bridge.start()
        await scene.queues.publish(source, [b"{}"])
        await until(lambda: bridge.history.attempts("crm"), what=bridge.last_words)
        clock.write_text(step)
        await until(lambda: len(scene.endpoint.received("/crm")) == 2, 20, what=bridge.last_words)
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 1}, what=bridge.last_words)
        await bridge.stop()
    first, second = (request.at for request in scene.endpoint.received("/crm"))
    assert WAIT - 0.1 <= second - first < WAIT + 3.0
    said_at = datetime.fromisoformat(json.loads(bridge.log_text.splitlines()[-1])["time"]).timestamp()
    assert abs(said_at - time.time()) > HOURS * 3000, "the clock was not set"


@pytest.mark.skipif(not FAKED, reason="libfaketime, which sets a process's clock, is not installed")
@pytest.mark.parametrize("step", [f"-{HOURS}h", f"+{HOURS}h"])
async def test_a_retry_comes_in_time_though_the_clock_is_set_while_the_bridge_is_down(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, step: str
):
    clock = scene.folder / "clock"
    clock.write_text("+0")
    for name, text in faking(clock):
        monkeypatch.setenv(name, text)
    source = await scene.queue()
    scene.endpoint.script("/crm", status(503), OK)
    hook = scene.webhook("crm", retry={"schedule": ["6s"], "jitter": 0})
    async with scene.prepared([hook], source) as bridge:
        bridge.from_nothing = True
        await bridge.start()
        await scene.queues.publish(source, [b"{}"])
        await until(lambda: bridge.history.statuses("crm") == {"RETRYING": 1}, what=bridge.last_words)
        await bridge.stop()
        clock.write_text(step)
        await bridge.start()
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 1}, 25, what=bridge.last_words)
        await bridge.stop()
    first, second = (request.at for request in scene.endpoint.received("/crm"))
    assert second - first >= 5, "earlier than the step of the ladder"


def test_what_began_to_wait_in_the_future_waits_its_whole_time_and_no_longer():
    waiting = replace(events.delivery(), not_before=1060.0, waits_from=1000.0)
    assert fencing.by_this_clock(waiting, 1030.0) == waiting
    set_back = fencing.by_this_clock(waiting, 100.0)
    assert (set_back.waits_from, set_back.not_before) == (100.0, 160.0)
    assert fencing.by_this_clock(set_back, 130.0) == set_back


def faking(clock: Path) -> Sequence[tuple[str, str]]:
    return [
        ("LD_PRELOAD", str(FAKED[0])),
        ("FAKETIME_TIMESTAMP_FILE", str(clock)),
        ("FAKETIME_NO_CACHE", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
    ]


@pytest.mark.parametrize("step", [-HOURS * 3600.0, HOURS * 3600.0])
def test_waits_are_measured_by_a_clock_that_nobody_sets(monkeypatch: pytest.MonkeyPatch, step: float):
    before = deliver.steady_time()
    assert abs(before - time.time()) < 60
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + step)
    assert 0 <= deliver.steady_time() - before < 60
