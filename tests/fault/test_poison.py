"""A message that ends the process: it costs three deaths, ends in quarantine, and its neighbours are delivered."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.bridge_process import BridgeProcess
from tests.support.scene import Scene
from tests.support.waiting import until

KILLER = b'{"n": "killer"}'
OTHERS = [b'{"n": %d}' % number for number in range(30)]
MOST_DEATHS = 3
SCRIPT = """#!/bin/sh
body=$(cat)
case "$body" in *killer*) test -e "$1/cured" || kill -9 $PPID;; esac
printf '%s\\n' "$body" >> "$1/delivered"
"""


def a_script(folder: Path) -> dict[str, Any]:
    """A hook whose program kills the bridge over one body."""
    program = folder / "poison.sh"
    program.write_text(SCRIPT)
    program.chmod(0o755)
    target = {"type": "script", "command": [str(program), str(folder)], "stdin": "body", "timeout": "10s"}
    return {"name": "crm", "concurrency": 4, "target": target}


def delivered(folder: Path) -> list[bytes]:
    """The bodies that the program was through with, in order."""
    file = folder / "delivered"
    return file.read_bytes().splitlines() if file.exists() else []


async def see_it_through(bridge: BridgeProcess, bodies: list[bytes]) -> int:
    """Start the bridge as often as it dies, until all these bodies were delivered; how often it died."""
    deaths = 0
    while True:
        await bridge.launch()
        await until(
            lambda: not bridge.alive or set(delivered(bridge.folder)) >= set(bodies),
            30,
            what=bridge.last_words,
        )
        if bridge.alive:
            return deaths
        assert bridge.exit_code == -9, bridge.last_words()
        deaths += 1
        assert deaths <= MOST_DEATHS, bridge.last_words()


def quarantined(bridge: BridgeProcess) -> list[tuple[str, str, bytes]]:
    """Source, reason and body of all that is in quarantine."""
    return bridge.history.rows("SELECT source, reason, body FROM quarantine")


@pytest.mark.parametrize("kind", ["classic", "quorum"])
async def test_the_one_that_kills_goes_to_quarantine_and_its_neighbours_are_delivered(
    scene: Scene, kind: str
):
    source = await scene.queue(arguments={"x-queue-type": kind})
    await scene.queues.publish(source, [*OTHERS[:10], KILLER, *OTHERS[10:]])
    async with scene.prepared([a_script(scene.folder)], source) as bridge:
        deaths = await see_it_through(bridge, OTHERS)
        await until(lambda: quarantined(bridge), what=bridge.last_words)
        await until(lambda: not bridge.history.unfinished(), what=bridge.last_words)
        await bridge.stop()
        assert quarantined(bridge) == [("main", "ended_the_process", KILLER)]
        assert bridge.history.delivered_bodies("crm") == set(OTHERS)
        assert await scene.queues.depth(source) == 0
