"""`./dev run`: a working bridge with a broker, a receiver and sample events, in one command.

The broker is chosen and ended here. What runs on it is run_demo(); with check it has to end by
itself, and its exit code is 0 only if every delivery is SUCCESS in the history.
"""

import argparse
from collections.abc import Sequence

from devtools.choice.broker import Broker, open_broker
from devtools.project import SetupError, tell_environment


def main(arguments: Sequence[str]) -> int:
    """The exit code. Nothing is left behind: no process, no queue of a private node, no file of a check."""
    options = parse(arguments)
    tell_environment()
    with open_broker() as broker:
        return run_demo(broker, check=options.check)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of `./dev run`."""
    parser = argparse.ArgumentParser(prog="./dev run", description="Start a broker, the bridge and a demo.")
    parser.add_argument("--check", action="store_true", help="exit 0 only if every delivery succeeds")
    return parser.parse_args(arguments)


def run_demo(broker: Broker, *, check: bool) -> int:
    """Starts receiver and bridge on the broker, publishes the samples, shows the deliveries."""
    what = "checked" if check else "run"
    raise SetupError(f"the broker at {broker.url} is ready, but the demo cannot be {what} yet: not built")
