"""The demo's child processes, and their logs as they grow."""

import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from devtools.nodes import processes
from devtools.nodes.scratch import Scratch
from devtools.project import SetupError

LAST_LINES = 15


class Log:
    """A file that another process writes, read line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()
        self._stream = path.open(encoding="utf-8", errors="replace")
        self._unfinished = ""

    def new_lines(self) -> list[str]:
        """The lines that were completed since the last call."""
        *lines, self._unfinished = (self._unfinished + self._stream.read()).split("\n")
        return lines

    def last_words(self) -> str:
        """Its last lines, for an error message."""
        return "\n".join(self.path.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:])

    def close(self) -> None:
        """Reads no more."""
        self._stream.close()


class Program:
    """A program in a session of its own, so that Ctrl-C reaches us first; it ends with us in any case."""

    def __init__(
        self, name: str, argv: Sequence[str | Path], env: Mapping[str, str], scratch: Scratch
    ) -> None:
        self.name = name
        self.log = Log(scratch.path / f"{name}.log")
        self._process = processes.spawn(argv, env=env, log=self.log.path, folder=scratch.path)
        scratch.record(name, self._process.pid, signal.SIGTERM)

    def check_running(self) -> None:
        """Raises SetupError, with its last words, if it has ended."""
        if (code := self._process.poll()) is not None:
            raise SetupError(f"the {self.name} ended with exit code {code}\n{self.log.last_words()}")

    def await_line(self, beginning: str, seconds: float) -> str:
        """The first line that begins so; raises SetupError when it does not come in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for line in self.log.new_lines():
                if line.startswith(beginning):
                    return line
            self.check_running()
            time.sleep(0.02)
        raise SetupError(f"the {self.name} did not start within {seconds:.0f} s\n{self.log.last_words()}")

    def stop(self, seconds: float) -> int:
        """The exit code after SIGTERM; killed when it takes too long, or when we are interrupted once more."""
        self.log.close()
        if (code := self._process.poll()) is not None:
            return code  # its id may belong to another process by now
        try:
            processes.end_tree(self._process.pid, signal.SIGTERM, seconds)
        except BaseException:
            processes.end_tree(self._process.pid, signal.SIGKILL, 0)
            raise
        return self._process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(10)
