"""What systemd is told, on a real datagram socket."""

import asyncio
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.app.run import ServiceManager


@pytest.fixture(params=["path", "abstract"])
def told(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """The address, as NOTIFY_SOCKET has it, and the socket behind it."""
    name = f"@amqp-bridge-{secrets.token_hex(8)}" if request.param == "abstract" else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        receiver.settimeout(5)
        yield name, receiver


def test_each_state_is_one_datagram(told: tuple[str, socket.socket]):
    address, receiver = told
    env = {"NOTIFY_SOCKET": address}
    manager = ServiceManager(env)
    manager.ready()
    assert receiver.recv(4096).split(b"\n")[0] == b"READY=1"
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    manager.reloading()
    kind, moment, _ = receiver.recv(4096).split(b"\n")
    assert kind == b"RELOADING=1"
    assert (
        before <= int(moment.removeprefix(b"MONOTONIC_USEC=")) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    )
    manager.stopping()
    assert receiver.recv(4096).split(b"\n")[0] == b"STOPPING=1"


def test_scripts_do_not_inherit_the_variables(told: tuple[str, socket.socket]):
    env = {"NOTIFY_SOCKET": told[0], "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1", "PATH": "/bin"}
    ServiceManager(env)
    assert env == {"PATH": "/bin"}


async def test_signs_of_life_come_from_the_event_loop_and_end_while_it_hangs(told: tuple[str, socket.socket]):
    address, receiver = told
    env = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "90000", "WATCHDOG_PID": str(os.getpid())}
    alive = asyncio.create_task(ServiceManager(env).stay_alive())
    for _ in range(3):
        assert await asyncio.to_thread(receiver.recv, 4096) == b"WATCHDOG=1"
    hung = threading.Event()
    silent: list[bool] = []

    def listen() -> None:
        receiver.settimeout(0.3)
        try:
            while receiver.recv(4096):
                silent.clear()
        except TimeoutError:
            silent.append(True)
        hung.set()

    threading.Thread(target=listen).start()
    assert hung.wait(10)  # on the event loop, which so cannot go on
    assert silent
    receiver.settimeout(5)
    assert await asyncio.to_thread(receiver.recv, 4096) == b"WATCHDOG=1"
    alive.cancel()


@pytest.mark.parametrize(
    "env", [{}, {"WATCHDOG_USEC": "1000"}, {"NOTIFY_SOCKET": "/nowhere/notify", "WATCHDOG_USEC": ""}]
)
async def test_without_a_service_manager_nothing_is_sent_and_nothing_fails(env: dict[str, str]):
    manager = ServiceManager(env)
    manager.ready()
    manager.stopping()
    await asyncio.wait_for(manager.stay_alive(), 1)


async def test_a_watchdog_of_another_process_is_left_alone(told: tuple[str, socket.socket]):
    env = {"NOTIFY_SOCKET": told[0], "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}
    await asyncio.wait_for(ServiceManager(env).stay_alive(), 1)
