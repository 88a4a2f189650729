"""What the memory of the process shows to others: nothing."""

import subprocess
import sys

import pytest

ASK = """
import ctypes, os, resource, subprocess, sys
if sys.argv[1:]:
    from bridge.core.budget import keep_memory_private
    keep_memory_private()
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE)[0], flush=True)
subprocess.run(["sh", "-c", "ulimit -c; cat /proc/self/environ >/dev/null && echo readable"], check=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_the_process_dumps_no_core_and_is_closed_to_others_while_its_programs_are_not() -> None:
    told = subprocess.run(
        [sys.executable, "-c", ASK, "privately"], capture_output=True, text=True, timeout=20, check=True
    )
    assert told.stdout.splitlines() == ["0 0", "0", "readable"]
    usual = subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True, timeout=20, check=True
    )
    assert usual.stdout.startswith("1 ")
