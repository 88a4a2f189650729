"""A bridge whose history is large already, and half of it older than it is to be kept."""

import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import yaml

from bench.archive.fill import fill
from bench.archive.rows import DAYS
from bench.load import Work
from bench.subjects.bridge import Bridge, RunningBridge, settings
from bench.subjects.subject import RunFailed, started
from bridge.history.history import open_history
from devtools.nodes.ports import free_ports
from devtools.nodes.scratch import Scratch

HALF = f"{DAYS * 12}h"
"""Half of the past, as a setting."""
_REMOVING_SECONDS = 600


class Archive:
    """A database that is made once; every run gets a copy."""

    def __init__(self, deliveries: int) -> None:
        self.deliveries = deliveries
        self._file: Path | None = None

    async def make(self, folder: Path) -> None:
        """Fill it, its last delivery now."""
        self._file = folder / "archive.db"
        url = f"sqlite:///{self._file}"
        await (await open_history(url)).close()
        await fill(url, self.deliveries, lambda _: None, end=time.time())

    def copy_to(self, work: Work) -> None:
        """Put a copy where the run's history lies."""
        assert self._file is not None
        shutil.copyfile(self._file, work.folder / "bridge.db")


class AgedBridge(Bridge):
    """The bridge over a copy of the archive; with `removing` it removes half of that while it delivers."""

    def __init__(self, archive: Archive, *, removing: bool) -> None:
        super().__init__()
        self._archive = archive
        self._removing = removing

    @contextmanager
    def running(self, work: Work, scratch: Scratch) -> Iterator[RunningBridge]:
        self._archive.copy_to(work)
        [port] = free_ports(1)
        path = work.folder / "bridge.yaml"
        whole = settings(work, port)
        whole["storage"] |= {"retention": HALF if self._removing else "1000d", "retention_every": "1s"}
        whole["log"] = {"format": "json"}
        path.write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")
        with started(self._argv(work, path), work, scratch) as process:
            yield RunningBridge(process, work, port)
            if self._removing:
                self._wait(work)

    async def recorded(self, work: Work) -> int | None:
        """Those of this run alone; raises RunFailed where what was to be removed is still there."""
        with closing(sqlite3.connect(work.folder / "bridge.db")) as connection:
            [[left]] = connection.execute("SELECT count(*) FROM deliveries WHERE hook NOT LIKE 'bench-%'")
            [[recorded]] = connection.execute(
                "SELECT count(*) FROM deliveries WHERE hook LIKE 'bench-%' AND status = 'SUCCESS'"
            )
        (work.folder / "bridge.db").unlink()
        if self._removing and not 0.45 < left / self._archive.deliveries < 0.55:
            raise RunFailed(
                f"{left:,} of {self._archive.deliveries:,} deliveries are left, and not half of them"
            )
        return int(recorded)

    def _wait(self, work: Work) -> None:
        """Until the bridge says that it has removed what is too old."""
        deadline = time.monotonic() + _REMOVING_SECONDS
        while not removed_in(work):
            if time.monotonic() > deadline:
                raise RunFailed(f"what is too old is not removed after {_REMOVING_SECONDS} s")
            time.sleep(0.5)


def removed_in(work: Work) -> float | None:
    """Seconds that the first round of removal took, None: it is not over."""
    for line in (work.folder / "log").read_text(encoding="utf-8").splitlines():
        if '"retention.removed"' in line:
            return float(json.loads(line)["seconds"])
    return None
