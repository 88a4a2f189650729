"""The command line."""

import os
import signal
import sys
from types import FrameType


def _end(number: int, _frame: FrameType | None) -> None:
    """Nothing is begun yet that would have to be stopped in order."""
    os._exit(0 if number == signal.SIGTERM else 128 + number)


if next((word for word in sys.argv[1:] if not word.startswith("-")), "") == "run":
    # Until the bridge takes signals itself. As the first process of a container it would never get one that nobody
    # handles: it would be told to stop, start all the same, and be killed.
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    if hasattr(signal, "SIGHUP"):
        # By default it ends the process. Until the settings are read it asks for nothing: what is written now will be read.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
