"""What an engine leaves behind whose owner is killed: nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from devtools.containers.engine import Engine
from devtools.nodes.processes import mentions
from devtools.project import ROOT
from tests.support.bridge_container import until

OWNER = """
import sys
from devtools.containers.engine import open_engine
with open_engine() as engine:
    print(engine.folder, flush=True)
    sys.stdin.read()
"""


def members(folder: Path) -> list[str]:
    """The processes of the engine in that folder."""
    return [each.name() for each in psutil.process_iter() if mentions(each, folder.name)]


def test_an_engine_whose_owner_is_killed_ends_with_all_it_started(engine: Engine, tmp_path: Path):
    cache = tmp_path / "amqp-bridge" / "containers"
    cache.mkdir(parents=True)
    (cache / engine.programs.root.name).symlink_to(engine.programs.root)
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        assert owner.stdin is not None
        assert owner.stdout is not None
        folder = Path(owner.stdout.readline().strip())
        assert "dockerd" in members(folder)
        owner.send_signal(signal.SIGKILL)
    until(lambda: not folder.exists() and not members(folder), 60, lambda: str(members(folder)))
