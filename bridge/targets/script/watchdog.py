"""The process that outlives the bridge by a moment: when the bridge is gone, it ends what scripts left running.

Runs by itself, on the standard library alone, as `python -I -S watchdog.py MARK`. Whoever starts it holds the other end
of its standard input and never writes: the end of that input, which comes with the end of the bridge however it ends,
is the sign to kill every process that carries MARK in its environment.
"""

import os
import signal
import sys
import time

_LONGEST = 5.0
"""Seconds in which processes that multiply are chased."""


def marked(mark: bytes) -> list[int]:
    """The processes whose environment begins a line with `mark`, as far as this one may look at them."""
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
    """Kill them, and what they start meanwhile."""
    deadline = time.monotonic() + _LONGEST
    while (found := marked(mark)) and time.monotonic() < deadline:
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        time.sleep(0.01)


def main() -> None:
    """Wait for the end of standard input, whatever is signalled meanwhile."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 1024):
        pass
    end_all(os.fsencode(sys.argv[1]))


if __name__ == "__main__":
    main()
