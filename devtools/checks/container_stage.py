"""The tests in containers before all others: a process of their own, since theirs is another network.

They mostly wait, so that the static checks, the unit tests and a sample on another broker run beside them. The other tests do not:
image builds and a dozen servers on the same processors make tests of time limits fail.
"""

import os
import signal
import sys
import time
from collections.abc import Callable

from devtools.checks.steps import Result
from devtools.nodes import processes
from devtools.project import ROOT, STATE, say

FOLDER = "tests/containers"
LOG = STATE / "containers.log"
END_SECONDS = 90


def run_containers(meanwhile: Callable[[], list[Result]]) -> list[Result]:
    """The results of what runs meanwhile, and that of the tests in containers.

    What these printed is shown as well, with the reasons of those that were skipped.
    """
    STATE.mkdir(exist_ok=True)
    LOG.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "devtools", "test", FOLDER]
    say("containers", f"{FOLDER} first, into {LOG.relative_to(ROOT)}; images are built once and kept")
    begun = time.monotonic()
    process = processes.spawn(argv, env=os.environ, log=LOG, folder=ROOT)
    try:
        results = meanwhile()
        code = process.wait()
    finally:
        processes.end_tree(process.pid, signal.SIGTERM, END_SECONDS)
        process.wait()
    print(LOG.read_text(errors="replace"), flush=True)
    return [*results, Result("containers", code == 0, time.monotonic() - begun)]
