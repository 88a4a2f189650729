"""`./dev run`: a working bridge with a broker, a receiver and sample events, in one command.

The broker is chosen and ended here. What runs on it is run_demo(); with check it ends by itself, and
its exit code is 0 only if every delivery is SUCCESS in the history.
"""

import argparse
import sys
from collections.abc import Sequence

from devtools.choice.broker import Broker, open_broker
from devtools.demo.show import Show, running, samples
from devtools.demo.stage import prepared
from devtools.project import say, tell_environment

DESCRIPTION = """\
Start a broker, a receiver that verifies signatures, and the bridge with examples/quickstart/bridge.yaml;
publish sample events, show the deliveries, and stay until Ctrl-C. A second Ctrl-C ends at once.
With BRIDGE_BROKER__URL the broker there is used; nothing that it holds is touched, and what the demo makes
on it is removed at the end."""


def main(arguments: Sequence[str]) -> int:
    """The exit code. Nothing is left behind: no process, no queue of the demo's own, no file."""
    options = parse(arguments)
    tell_environment()
    with open_broker() as broker:
        return run_demo(broker, check=options.check)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of `./dev run`."""
    parser = argparse.ArgumentParser(
        prog="./dev run", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="exit 0 only if every delivery succeeds")
    return parser.parse_args(arguments)


def run_demo(broker: Broker, *, check: bool) -> int:
    """Starts receiver and bridge on the broker, publishes the samples, shows the deliveries."""
    with prepared(broker) as stage, running(stage) as show:
        show.tell()
        show.publish(*samples())
        if check:
            return verdict(show)
        show.stay()
    return 0


def verdict(show: Show) -> int:
    """0 if all went well; else 1, after everything that did not."""
    show.await_settled()
    evidence = show.evidence()
    complaints = list(evidence.complaints())
    for complaint in complaints:
        say("FAILED", complaint)
    if complaints:
        sys.stderr.write(f"the end of the bridge's log:\n{show.last_words()}\n")
        return 1
    say("OK", evidence.summary())
    return 0
