"""A real PgBouncer of its own, before a test's PostgreSQL."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from devtools.nodes import processes
from devtools.nodes.ports import free_ports
from devtools.nodes.postgres_install import server_account
from devtools.nodes.scratch import Scratch
from tests.support.waiting import until

_SETTINGS = """
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = {size}
max_client_conn = 50
"""


@asynccontextmanager
async def pgbouncer(url: str, mode: str) -> AsyncIterator[str]:
    """The URL of the same database through it; skips the test where the program is not installed."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("PgBouncer is not installed")
    parts, port = urlsplit(url), free_ports(1)[0]
    scratch, account = Scratch.create("pgbouncer"), server_account()
    folder = scratch.path
    _write(folder / "users", f'"{parts.username}" "{parts.password}"\n')
    _write(
        folder / "pgbouncer.ini",
        _SETTINGS.format(
            server=parts.port, port=port, folder=folder, mode=mode, size=2 if mode == "transaction" else 8
        ),
    )
    if account is not None:
        folder.chmod(0o755)
    process = processes.spawn(
        [program, folder / "pgbouncer.ini"],
        env=dict(os.environ),
        log=folder / "log",
        folder=folder,
        account=account,
    )
    try:
        await until(lambda: _answers(port), what=(folder / "log").read_text)
        yield parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}").geturl()
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 10)
        scratch.remove()


def _write(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o644)


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
