"""Erlang's port mapper (epmd), one of our own: through it the nodes of a cluster and rabbitmqctl find each other."""

import signal
import subprocess
import threading
from pathlib import Path

from devtools.nodes import processes
from devtools.nodes.ports import answers
from devtools.nodes.rabbitmq_plan import LOOPBACK, NodePlan
from devtools.nodes.scratch import Scratch


class PortMapper:
    """One daemon on the port that the plan names; nodes with the same port share it.

    Erlang would start one by itself that outlives the node and listens everywhere.
    """

    def __init__(self, plan: NodePlan, scratch: Scratch) -> None:
        self._plan = plan
        self._scratch = scratch
        self._process: subprocess.Popen[bytes] | None = None
        # Nodes of a cluster are started by several threads.
        self._starting = threading.Lock()

    def ensure(self) -> bool:
        """Start it unless it runs; whether it answers."""
        with self._starting:
            if self._process is None or self._process.poll() is not None:
                self._process = self._spawn()
        return processes.poll(lambda: answers(self._plan.epmd_port), 10, every=0.02)

    def _spawn(self) -> subprocess.Popen[bytes]:
        plan = self._plan
        argv: list[str | Path] = [plan.epmd, "-port", str(plan.epmd_port), "-address", LOOPBACK]
        process = processes.spawn(argv, env=plan.environment(), log=plan.console_log, folder=plan.folder)
        self._scratch.record("epmd", process.pid, signal.SIGKILL)
        return process

    def reap(self) -> None:
        """Its folder was removed and it was ended with that: take its exit code."""
        if self._process is not None:
            self._process.wait(10)
