"""A bridge tells systemd, on a real datagram socket, what it does."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scene import Scene


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(20)
        yield receiver


async def next_state(manager: socket.socket) -> str:
    """The next state that is no sign of life."""
    while (told := await asyncio.to_thread(manager.recv, 4096)) == b"WATCHDOG=1":
        pass
    return told.decode().partition("=")[0]


async def told_anything(manager: socket.socket) -> bool:
    """Whether anything comes within a second, in which there would be signs of life."""
    try:
        await asyncio.to_thread(manager.recv, 4096)
    except TimeoutError:
        return False
    return True


async def test_systemd_is_told_of_start_reload_and_stop(scene: Scene, manager: socket.socket, tmp_path: Path):
    async with scene.prepared([scene.webhook("crm")], await scene.queue()) as bridge:
        bridge.variables |= {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"}
        await bridge.launch()
        assert await next_state(manager) == "READY"
        await bridge.serving()
        bridge.hang_up()
        assert await next_state(manager) == "RELOADING"
        assert await next_state(manager) == "READY"
        bridge.signal(signal.SIGTERM)
        assert await next_state(manager) == "STOPPING"
        assert await bridge.ended() == 0


async def test_a_bridge_that_hangs_gives_no_sign_of_life(
    scene: Scene, manager: socket.socket, tmp_path: Path
):
    async with scene.prepared([scene.webhook("crm")], await scene.queue()) as bridge:
        bridge.variables |= {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "600000"}
        await bridge.start()
        assert await next_state(manager) == "READY"
        assert await asyncio.to_thread(manager.recv, 4096) == b"WATCHDOG=1"
        os.kill(bridge.pid, signal.SIGSTOP)
        try:
            manager.settimeout(1)
            while await told_anything(manager):  # what was on its way comes first
                pass
        finally:
            os.kill(bridge.pid, signal.SIGCONT)
        manager.settimeout(20)
        assert await asyncio.to_thread(manager.recv, 4096) == b"WATCHDOG=1"
        await bridge.stop()
