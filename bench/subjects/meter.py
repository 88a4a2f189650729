"""What a process has used so far."""

import re
from pathlib import Path

import psutil

_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)


class Meter:
    """CPU and memory of one process."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._highest = 0

    def cpu_seconds(self) -> float:
        """User and system time, with that of its children that have ended. Steps of 10 ms on Linux."""
        times = self._process.cpu_times()
        return times.user + times.system + times.children_user + times.children_system

    def peak_memory_bytes(self) -> int:
        """The most resident memory: the kernel's own high-water mark, elsewhere the highest seen here."""
        self._highest = max(self._highest, self._process.memory_info().rss, self._high_water_mark())
        return self._highest

    def _high_water_mark(self) -> int:
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        except OSError:
            return 0
        found = _PEAK.search(status)
        return int(found[1]) * 1024 if found else 0
