"""A real MQTT broker of its own for a test."""

import asyncio
import getpass
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.waiting import until


@asynccontextmanager
async def mosquitto(folder: Path, *, password: str | None = None) -> AsyncIterator[int]:
    """Its port; skips the test where the program is not installed. With `password` it wants user `joe`."""
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("the MQTT broker mosquitto is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = _settings(folder, port, password)
    process = await asyncio.create_subprocess_exec(
        program, "-c", str(settings), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await until(lambda: _answers(port), what="mosquitto listens")
        yield port
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 10)


def _settings(folder: Path, port: int, password: str | None) -> Path:
    lines = [
        # Started by root it would become another user, who cannot read what is ours.
        f"user {getpass.getuser()}",
        f"listener {port} 127.0.0.1",
        "persistence false",
        f"allow_anonymous {str(password is None).lower()}",
    ]
    if password is not None:
        made = ["mosquitto_passwd", "-b", "-c", str(folder / "passwords"), "joe", password]
        subprocess.run(made, check=True, timeout=20)
        lines.append(f"password_file {folder / 'passwords'}")
    settings = folder / "mosquitto.conf"
    settings.write_text("\n".join(lines) + "\n")
    return settings


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
