"""The command line."""

import os
import signal
import sys
from types import FrameType


def _end(number: int, _frame: FrameType | None) -> None:
    """Ends the process at once: nothing has started that needs an orderly stop."""
    os._exit(0 if number == signal.SIGTERM else 128 + number)


if next((word for word in sys.argv[1:] if not word.startswith("-")), "") == "run":
    # Until the bridge installs its own handlers. As process 1 of a container it would never receive a signal without a handler:
    # it would be asked to stop, start nevertheless, and be killed.
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    if hasattr(signal, "SIGHUP"):
        # By default SIGHUP ends the process. Before the settings are read it requests nothing, since they will be read.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def main() -> None:
    """Runs the command line; ends the process with its exit code."""
    if sys.argv[1:2] == ["health"]:
        from bridge.cli.health import quick

        if (code := quick(sys.argv[2:])) is not None:
            sys.exit(code)
    from bridge.cli.main import main as whole

    whole()
