"""`./dev run`: a working bridge with a broker, a receiver and sample events, in one command.

The broker is chosen and ended here. What runs on it is run_demo(); with check it ends by itself, and
its exit code is 0 only if every delivery is SUCCESS in the history. Without check there are also hooks that have trouble.
"""

import sys
from collections.abc import Sequence

from devtools.choice.broker import Broker, open_broker
from devtools.demo.options import parser
from devtools.demo.scene import trouble
from devtools.demo.show import Show, running, samples
from devtools.demo.stage import prepared
from devtools.project import say, tell_environment


def main(arguments: Sequence[str]) -> int:
    """The exit code. Nothing is left behind: no process, no queue of the demo's own, no file."""
    options = parser().parse_args(arguments)
    tell_environment()
    with open_broker() as broker:
        return run_demo(broker, check=options.check)


def run_demo(broker: Broker, *, check: bool) -> int:
    """Starts receiver and bridge on the broker, publishes the samples, shows the deliveries."""
    if check:
        with prepared(broker) as stage, running(stage) as show:
            show.tell()
            show.publish(*samples())
            return verdict(show)
    with trouble() as url, prepared(broker, orders=True) as stage, running(stage) as show:
        show.tell()
        show.publish(*samples())
        show.set_scene(url)
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
