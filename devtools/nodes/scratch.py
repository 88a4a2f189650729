"""One temporary folder per throw-away server, and the promise that neither outlives its owner.

Three nets, each for when the one before is gone: stop() removes the folder; a keeper (a shell that
waits on a pipe from us) does it when we are killed; and every start reaps folders whose owner is dead.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

from devtools.nodes import processes
from devtools.project import ROOT

PREFIX = "amqp-bridge-"
# A folder without an owner file is one that is being made, unless it is older than this.
NEWBORN_SECONDS = 60
KEEPER = 'read -r _ || exec "$@"'


class Scratch:
    """A folder with the ids of the processes that live in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._keeper: subprocess.Popen[bytes] | None = None

    @classmethod
    def create(cls, kind: str) -> "Scratch":
        """A new folder that is removed, with its processes, even when we get killed."""
        reap_stale()
        # mkdtemp's alphabet includes "_", which a host-style node name may not contain.
        path = Path(tempfile.gettempdir()) / f"{PREFIX}{kind}-{secrets.token_hex(5)}"
        path.mkdir(mode=0o700)
        scratch = cls(path)
        (path / "processes").mkdir()
        (path / "owner").write_text(processes.identity(os.getpid()))
        scratch._keeper = start_keeper(path)
        return scratch

    def record(self, name: str, pid: int, stop_signal: signal.Signals) -> None:
        """The process belongs to the folder and ends with it."""
        (self.path / "processes" / name).write_text(f"{pid} {int(stop_signal)}")

    def remove(self) -> None:
        """Processes and folder are gone."""
        discard(self.path)
        self._dismiss_keeper()

    def _dismiss_keeper(self) -> None:
        if self._keeper is None or self._keeper.stdin is None:
            return
        with suppress(BrokenPipeError):
            self._keeper.stdin.write(b"done\n")
            self._keeper.stdin.close()
        self._keeper.wait(10)
        self._keeper = None


def start_keeper(path: Path) -> subprocess.Popen[bytes]:
    """A shell that waits until we say that all is done, or vanish: then it discards the folder."""
    return subprocess.Popen(
        ["/bin/sh", "-c", KEEPER, "keeper", sys.executable, "-m", "devtools.nodes.scratch", str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def reap_stale() -> list[Path]:
    """The folders of dead owners, now removed with the processes that were still in them."""
    stale = [path for path in own_folders() if is_abandoned(path)]
    for path in stale:
        discard(path)
    return stale


def own_folders() -> list[Path]:
    """Our folders. Those of other users are not trusted: their files name processes to end."""
    found = Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*")
    return [path for path in found if path.is_dir() and not path.is_symlink() and is_ours(path)]


def is_ours(path: Path) -> bool:
    """Whether the folder is still there and belongs to our user."""
    try:
        return path.stat().st_uid == os.geteuid()
    except OSError:
        return False


def is_abandoned(path: Path) -> bool:
    """Whether the process that made the folder is gone."""
    try:
        owner = (path / "owner").read_text()
        if not owner:
            raise FileNotFoundError
    except OSError:
        return path.exists() and time.time() - path.stat().st_mtime > NEWBORN_SECONDS
    return processes.identity(int(owner.split()[0])) != owner


def discard(path: Path) -> None:
    """The folder and the recorded processes that are still the ones it names are gone."""
    for record in sorted(path.glob("processes/*")):
        with suppress(OSError, ValueError):
            pid, stop_signal = map(int, record.read_text().split())
            end_if_member(path, pid, signal.Signals(stop_signal))
    shutil.rmtree(path, ignore_errors=True)


def end_if_member(path: Path, pid: int, stop_signal: signal.Signals) -> None:
    """Ends the process, unless its id now belongs to a stranger: a member mentions the folder."""
    with suppress(psutil.NoSuchProcess):
        if processes.mentions(psutil.Process(pid), path.name):
            processes.end_tree(pid, stop_signal, 10)


if __name__ == "__main__":
    discard(Path(sys.argv[1]))
