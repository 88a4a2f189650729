"""The unit for systemd: systemd itself finds no fault with it, and what it promises is what the bridge does."""

import shutil
import subprocess
from pathlib import Path

import pytest

from bridge.settings.tree import Settings
from devtools.project import PROGRAMS, ROOT

UNIT = ROOT / "deploy" / "systemd" / "amqp-bridge.service"
COMMAND = "/opt/amqp-bridge/bin/amqp-bridge"
MOST_EXPOSED = "20"
"""Tenths of systemd's measure from 0 (safe) to 10."""


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with the command of this checkout."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze")
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace(COMMAND, str(PROGRAMS / "amqp-bridge")))
    return copy


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


def test_systemd_finds_no_fault(unit: Path):
    told = analyze("verify", str(unit))
    assert (told.returncode, [line for line in told.stderr.splitlines() if unit.name in line]) == (0, [])


def test_little_of_the_system_is_exposed_to_it(unit: Path):
    told = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", str(unit))
    assert told.returncode == 0, told.stdout + told.stderr


def test_it_is_given_the_time_that_a_stop_may_take():
    lines = dict(
        line.split("=", 1) for line in UNIT.read_text().splitlines() if "=" in line and line[0].isalpha()
    )
    drain = Settings.model_fields["limits"].default.drain
    assert float(lines["TimeoutStopSec"].removesuffix("s")) >= drain + 15
    assert lines["Type"] == "notify"
    assert lines["ExecStart"].startswith(f"{COMMAND} run")
