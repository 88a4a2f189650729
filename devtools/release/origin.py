"""The sources of a release: what is committed, and the time that everything in it gets."""

import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from devtools.project import ROOT, SetupError, say

EPOCH = "SOURCE_DATE_EPOCH"


@dataclass(frozen=True)
class Origin:
    """A folder with nothing but the sources, the commit they are of ("" where there is no git), and its time."""

    folder: Path
    commit: str
    epoch: int


@contextmanager
def open_origin(root: Path = ROOT) -> Iterator[Origin]:
    """The last commit, exported; the folder as it is where that is no checkout, but an unpacked archive."""
    if not (root / ".git").exists():
        yield Origin(root, "", _given_epoch())
        return
    commit = _git(root, "rev-parse", "HEAD").decode().strip()
    epoch = int(os.environ.get(EPOCH) or _git(root, "log", "-1", "--format=%ct"))
    if _git(root, "status", "--porcelain"):
        say("sources", "there are changes that are not committed: they are left out")
    with tempfile.TemporaryDirectory(prefix="amqp-bridge-release-") as folder:
        with tarfile.open(fileobj=BytesIO(_git(root, "archive", "--format=tar", "HEAD"))) as archive:
            archive.extractall(folder, filter="data")
        yield Origin(Path(folder), commit, epoch)


def _given_epoch() -> int:
    given = os.environ.get(EPOCH, "")
    if not given.isdigit():
        raise SetupError(
            f"this is no git checkout: say of which time the release is, {EPOCH}=seconds since 1970"
        )
    return int(given)


def _git(root: Path, *arguments: str) -> bytes:
    # A checkout may belong to somebody else than who builds in a container.
    command = ["git", "-c", f"safe.directory={root}", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    if done.returncode:
        raise SetupError(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
