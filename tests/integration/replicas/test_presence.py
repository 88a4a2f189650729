"""Whether the process before this one ended in order is seen by who is still written down as being there."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from sqlalchemy import update

from bridge.cluster.replicas import ReplicaHeartbeat
from bridge.core.records import Replica
from bridge.db.admin_tables import replicas as table
from bridge.history.history import SqlHistory, open_history
from bridge.history.leases import SqlReplicas
from bridge.hooks.in_force import HooksInForce

HERE = socket.gethostname()


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[SqlHistory]:
    opened = await open_history(f"sqlite:///{tmp_path}/bridge.db")
    yield opened
    await opened.close()


def presence(history: SqlHistory) -> ReplicaHeartbeat:
    in_force = cast("HooksInForce", SimpleNamespace(revision=0, settled=0))
    return ReplicaHeartbeat(SqlReplicas(history.engine), in_force, "this one", ["webhook"])


async def written_down(history: SqlHistory, host: str, *, ago: float = 0) -> None:
    """A replica was seen so many seconds ago."""
    await SqlReplicas(history.engine).seen(Replica("another", host, "webhook", time.time(), 0, 0))
    earlier = update(table).values(seen_at=table.c.seen_at - ago)
    await history.engine.write(lambda connection: connection.execute(earlier))


def a_process_that_ended() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


async def test_who_left_in_order_leaves_no_doubt(history: SqlHistory):
    assert not await presence(history).begin(alone=True)
    await presence(history).leave()
    assert not await presence(history).begin(alone=True)


async def test_with_sqlite_whoever_is_written_down_is_dead(history: SqlHistory):
    await written_down(history, "elsewhere:1", ago=7200)
    assert await presence(history).begin(alone=True)
    assert [each.id for each in await SqlReplicas(history.engine).replicas(1e6)] == ["this one"]
    assert not await presence(history).begin(alone=True)


@pytest.mark.parametrize(
    ("host", "ago", "unclean"),
    [
        ("elsewhere:1", 0, False),
        ("elsewhere:1", 60, True),
        (f"{HERE}:{os.getppid()}", 0, False),
        (f"{HERE}:{os.getpid()}", 0, True),  # in a container it has the number of the one before
        (f"{HERE}:gone", 0, False),
    ],
    ids=["elsewhere", "silent", "living", "same number", "no number"],
)
async def test_a_living_sibling_raises_no_doubt_and_a_dead_one_does(
    history: SqlHistory, host: str, ago: float, unclean: bool
):
    await written_down(history, host, ago=ago)
    assert await presence(history).begin(alone=False) is unclean
    assert len(await SqlReplicas(history.engine).replicas(1e6)) == 2


async def test_a_process_of_this_host_that_is_no_more_raises_doubt_at_once(history: SqlHistory):
    await written_down(history, f"{HERE}:{a_process_that_ended()}")
    assert await presence(history).begin(alone=False)
