"""The options of `./dev soak`: without what is imported to run it, for its help."""

import argparse
from pathlib import Path

WARM_UP = 20
"""Events that are published before faults fall."""
EPILOG = """\
what happens:
  Private RabbitMQ nodes (one cluster), bridges and endpoints are started on 127.0.0.1. A publisher sends
  numbered events at an even pace into one queue, each until the broker confirmed it; each event goes to
  every hook. Meanwhile three tracks of faults run beside each other, each with a pause of seconds:
    bridge    kill -9, SIGTERM; started again at once
    broker    kill -9, stop_app, all connections closed; one node at a time, back after some seconds
    the rest  connections cut, half-open, silent or slow; database locked (SQLite); endpoints that answer
              500, are slow, or refuse connections
  Of three hooks the second endpoint answers 500 now and then, the third refuses every hundredth event
  for good (422). At the end faults stop, and the books are made: every published event is, for every
  hook, delivered, waiting, failed for good, quarantined or still at the source, and the history, the
  endpoints and the broker's counts say the same of it.

reading the summary:
  repeated           how often an endpoint took an event that it had already (at least once is promised)
  sent again         publishes that the publisher repeated because no confirm came: duplicates of its own
  recovered within   from the end of a fault (node up, process started) until every hook got a new event

examples:
  ./dev soak --minutes 1 --events 3000 --nodes 1       a short one, half a minute to start and end
  ./dev soak                                           the long one: 10 minutes, 50,000 events, 3 nodes
  ./dev soak --seed 17                                 the same faults again as in the run with seed 17
  ./dev soak --replicas 2                              two bridges on PostgreSQL

exit codes: 0 all sums agree, 1 they do not, 2 something is missing or a wrong command, 130 interrupted
"""


def parser() -> argparse.ArgumentParser:
    """Reads them."""
    made = argparse.ArgumentParser(
        prog="./dev soak",
        description="Harm bridge, broker, network, database and endpoints at random under load; then count.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("--minutes", type=at_least(0.1), default=10.0, help="how long faults fall (default 10)")
    add(
        "--events",
        type=whole(WARM_UP, 10_000_000),
        default=50_000,
        help="how many are published (default 50000)",
    )
    add("--hooks", type=whole(1, 100), default=3, help="how many hooks each event goes to (default 3)")
    add("--nodes", type=whole(1, 7), default=3, help="RabbitMQ nodes (default 3); 1: a classic source queue")
    add("--replicas", type=whole(1, 10), default=1, help="bridges; from 2 on with PostgreSQL (default 1)")
    add("--seed", type=int, default=None, help="the faults of an earlier run again (default: a new one)")
    add("--keep", type=Path, metavar="FOLDER", help="logs and history go here and stay (default: removed)")
    return made


def at_least(least: float):
    """A type of number with a lower bound."""

    def number(text: str) -> float:
        if not least <= float(text) < 1e6:
            raise argparse.ArgumentTypeError(f"at least {least:g}")
        return float(text)

    return number


def whole(least: int, most: int):
    """A type of whole number with bounds."""

    def number(text: str) -> int:
        if not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"from {least:,} to {most:,}")
        return int(text)

    return number
