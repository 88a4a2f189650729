"""The container engine of the tests: why there is none, and what the image's build takes out of packages."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from devtools.containers.programs import CannotRun
from devtools.containers.session import ENGINE_VARIABLE, REASON_VARIABLE, engine_of_session
from devtools.containers.standins import STAND_INS
from devtools.project import ROOT

SHRINK = ROOT / "deploy" / "docker" / "shrink.py"


def test_where_a_tool_is_missing_the_session_tells_its_tests_why(tmp_path: Path):
    program = (
        "from devtools.containers.session import open_session, REASON_VARIABLE\n"
        "with open_session() as session: print(session.variables[REASON_VARIABLE])"
    )
    env = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    wanted = "unshare" if os.geteuid() == 0 else "needs root"
    assert wanted in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_tests_are_skipped_with_the_reason_of_the_session():
    with pytest.raises(CannotRun, match="no room"):
        engine_of_session({REASON_VARIABLE: "no room"})
    with pytest.raises(CannotRun, match=r"\./dev test tests/containers"):
        engine_of_session({})
    found = engine_of_session({ENGINE_VARIABLE: "/folder:/programs"})
    assert found.variables()["DOCKER_HOST"] == "unix:///folder/docker.sock"


def test_a_stand_in_stands_for_each_image_that_the_compose_file_names_but_grafana():
    named = {
        line.split()[1]
        for line in (ROOT / "docker-compose.yml").read_text().splitlines()
        if " image: " in line
    }
    there = {name for each in STAND_INS for name in each.names}
    assert {name.partition(":")[0] for name in named - there} == {"amqp-bridge", "grafana/grafana"}


@pytest.mark.skipif(sys.platform != "linux", reason="a shared object of Linux is shortened")
def test_a_shared_object_without_its_symbols_is_smaller_and_still_loads(tmp_path: Path):
    packages = Path(sysconfig.get_path("purelib"))
    largest = max((packages / "uvloop").glob("*.so"), key=lambda file: file.stat().st_size)
    shutil.copytree(packages / "uvloop", tmp_path / "uvloop")
    program = f"import sys, pathlib; sys.path.insert(0, {str(SHRINK.parent)!r})\nimport shrink\nshrink.strip(pathlib.Path(sys.argv[1]))"
    copy = tmp_path / "uvloop" / largest.name
    subprocess.run([sys.executable, "-B", "-c", program, str(copy)], check=True)
    assert copy.stat().st_size < largest.stat().st_size
    use = "import asyncio, uvloop; print(uvloop.run(asyncio.sleep(0, 7)), uvloop.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", use],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["7", str(tmp_path / "uvloop" / "__init__.py")]
