"""The version before this one, out of the repository's history: what replicas run until an upgrade replaces them."""

import subprocess
from pathlib import Path

import pytest

from tests.support.bridge_process import ROOT, BridgeProcess

COMMIT = "183393b"
"""The last commit whose code and tables are those of the version before."""


def unpack_version_before(folder: Path) -> Path:
    """The folder with its code; the test is skipped where the checkout has no history, as in an archive of its files."""
    packed = subprocess.run(["git", "archive", COMMIT, "bridge"], cwd=ROOT, capture_output=True, check=False)
    if packed.returncode:
        pytest.skip(f"the history of this checkout does not reach back to {COMMIT}: {packed.stderr.decode()}")
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed.stdout, check=True)
    return folder


def runs_version_before(bridge: BridgeProcess, code: Path) -> None:
    """Have the next start of the bridge run this code."""
    bridge.from_nothing = True
    bridge.variables["PYTHONPATH"] = str(code)


def runs_this_version(bridge: BridgeProcess) -> None:
    """Have the next start of the bridge run the code of this checkout."""
    bridge.from_nothing = False
    del bridge.variables["PYTHONPATH"]
