"""`./dev run` as users see it: what it prints, and what it leaves behind."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from devtools.nodes.processes import end_tree
from devtools.project import ROOT, without_settings

END_SECONDS = 60


class Demo:
    """A demo whose temporary files all lie in one folder, so that left-overs are seen."""

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self._out, self._err = folder / "out", folder / "err"
        environment = without_settings(dict(os.environ)) | {"TMPDIR": str(self.temporary)} | variables
        environment.pop("AMQP_URL", None)
        self._keyboard, terminal = os.openpty()
        with self._out.open("wb") as out, self._err.open("wb") as err, os.fdopen(terminal) as keys:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "devtools", "run", *arguments],
                cwd=ROOT,
                env=environment,
                stdin=keys,
                stdout=out,
                stderr=err,
            )

    @property
    def out(self) -> str:
        """What it printed: the deliveries."""
        return self._out.read_text(encoding="utf-8")

    @property
    def err(self) -> str:
        """What it said about its steps."""
        return self._err.read_text(encoding="utf-8")

    def said(self, topic: str) -> str:
        """The first word of what it said under this topic, or nothing."""
        found = re.search(rf"^{topic} +(\S+)", self.err, re.MULTILINE)
        return found[1] if found else ""

    @property
    def stays(self) -> bool:
        """It has told everything, and stays until it is ended; AssertionError if it has ended."""
        assert self.process.poll() is None, self.err
        return bool(self.said("stop"))

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def press_enter(self) -> None:
        """On the terminal that it was started from."""
        os.write(self._keyboard, b"\n")

    def wait(self) -> int:
        """The exit code."""
        return self.process.wait(END_SECONDS)

    def close(self) -> None:
        """Gone, however far it came."""
        end_tree(self.process.pid, signal.SIGTERM, 30)
        self.process.wait(10)
        os.close(self._keyboard)

    def members(self) -> list[psutil.Process]:
        """The processes that belong to it: they name its folder of temporary files."""
        return [process for process in psutil.process_iter() if self._is_member(process)]

    def bridge(self) -> psutil.Process:
        """The bridge that it started."""
        (found,) = [process for process in self.members() if "run" in arguments(process)[-3:-2]]
        return found

    def leftovers(self) -> list[str]:
        """Its processes and files that are still there; none after a clean end."""
        processes = [f"process {process.pid}" for process in self.members()]
        return processes + [str(path) for path in self.temporary.iterdir()]

    def _is_member(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            return any(
                str(self.temporary) in text for text in [*process.environ().values(), *process.cmdline()]
            )
        except psutil.Error:
            return False


def arguments(process: psutil.Process) -> list[str]:
    """Its command line; nothing when it has ended meanwhile, as scripts do."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@contextmanager
def demo(folder: Path, *arguments: str, **variables: str) -> Iterator[Demo]:
    """A demo that is ended at last, however the test goes."""
    started = Demo(folder, *arguments, **variables)
    try:
        yield started
    finally:
        started.close()
