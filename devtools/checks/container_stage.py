"""The tests in containers beside all others: a process of their own, since theirs is another network."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from devtools.nodes import processes
from devtools.project import ROOT, STATE, say

FOLDER = "tests/containers"
LOG = STATE / "containers.log"
END_SECONDS = 90


@contextmanager
def container_stage() -> Iterator[Callable[[], int]]:
    """Starts the stage; what is given waits for its end, prints what it said, and returns its exit code."""
    STATE.mkdir(exist_ok=True)
    LOG.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "devtools", "test", FOLDER]
    say("containers", f"{FOLDER} runs beside the other tests, into {LOG.relative_to(ROOT)}")
    process = processes.spawn(argv, env=os.environ, log=LOG, folder=ROOT)
    try:
        yield lambda: finished(process, LOG)
    finally:
        processes.end_tree(process.pid, signal.SIGTERM, END_SECONDS)


def finished(process: subprocess.Popen[bytes], log: Path) -> int:
    """The exit code, once the process has ended and its output is printed."""
    begun = time.monotonic()
    code = process.wait()
    print(f"\n{log.read_text(errors='replace')}", flush=True)
    say("containers", f"ended with {code}, {time.monotonic() - begun:.0f} s after the other tests")
    return code
