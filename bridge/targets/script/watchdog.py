"""The watchdog: a process that outlives the bridge for a moment and kills the processes that scripts left running.

Runs on the standard library alone, as `python -I -S watchdog.py MARK`. Its parent holds the other end of its standard
input and never writes: end of file means that the bridge has ended in any way, and that every process with MARK in its
environment must be killed.
"""

import os
import signal
import sys
import time

_LONGEST = 5.0
"""Maximum seconds of chasing processes that keep forking."""


def marked(mark: bytes) -> list[int]:
    """Returns the processes with `mark` at the beginning of an environment line, as far as they are readable."""
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - as below
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:  # noqa: PTH123 - pathlib takes a third of the start
                environment = file.read()
        except OSError:
            continue
        if b"\0" + mark in b"\0" + environment:
            found.append(int(name))
    return found


def end_all(mark: bytes) -> None:
    """Kill these processes, and those that they start meanwhile."""
    deadline = time.monotonic() + _LONGEST
    while (found := marked(mark)) and time.monotonic() < deadline:
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        time.sleep(0.01)


def main() -> None:
    """Wait for the end of standard input, ignoring signals."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 1024):
        pass
    end_all(os.fsencode(sys.argv[1]))


if __name__ == "__main__":
    main()
