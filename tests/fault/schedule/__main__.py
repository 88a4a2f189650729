"""`python -m tests.fault.schedule`, which is what `./dev soak` runs."""

import argparse
import asyncio
import logging
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from devtools.__main__ import guarded
from devtools.choice.database import open_database
from devtools.nodes.scratch import Scratch
from devtools.project import SetupError, say
from devtools.rabbitmq import RabbitMQNode
from devtools.rabbitmq_cluster import RabbitMQCluster
from tests.fault.schedule.report import Report
from tests.fault.schedule.run import WARM_UP, Plan, Run
from tests.fault.schedule.stage import open_stage
from tests.support.postgres import new_database

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


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    # Every fault makes the publisher's AMQP library report at length that its connection is gone.
    logging.getLogger("aiormq").setLevel(logging.CRITICAL + 1)
    report = run(parse(arguments))
    print(report)  # noqa: T201 - the summary is what it is for
    return 0 if report.passed else 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of `./dev soak`."""
    parser = argparse.ArgumentParser(
        prog="./dev soak",
        description="Harm bridge, broker, network, database and endpoints at random under load; then count.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
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
    chosen = parser.parse_args(arguments)
    if chosen.nodes == 2:
        parser.error("--nodes 2: of two nodes none may go, for the majority would be gone; use 1, 3 or more")
    if chosen.seed is None:
        chosen.seed = secrets.randbelow(1_000_000)
    return chosen


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


def run(options: argparse.Namespace) -> Report:
    """The report of one run with these options; everything that was started has ended."""
    say("soak", f"seed {options.seed}: {options.events:,} events in {options.minutes:g} minutes")
    with started_nodes(options.nodes) as nodes, a_folder(options.keep) as folder:
        say("broker", f"{len(nodes)} private RabbitMQ node{'s' * (len(nodes) > 1)}")
        if options.replicas == 1:
            return asyncio.run(perform(options, nodes, folder, None))
        with open_database() as url:
            if url is None:
                raise SetupError("several replicas need PostgreSQL, which was not found")
            return asyncio.run(perform(options, nodes, folder, url))


async def perform(
    options: argparse.Namespace, nodes: Sequence[RabbitMQNode], folder: Path, admin_url: str | None
) -> Report:
    """The report of one run on these nodes."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(new_database(admin_url)) if admin_url else None
        stage = await stack.enter_async_context(
            open_stage(
                nodes,
                folder,
                seed=options.seed,
                hooks=options.hooks,
                database_url=url,
                replicas=options.replicas,
            )
        )
        plan = Plan(options.seed, options.events, options.minutes * 60)
        return await Run(stage, plan, lambda line: say("soak", line)).whole()


@contextmanager
def started_nodes(count: int) -> Iterator[Sequence[RabbitMQNode]]:
    """One node, or a cluster of several."""
    if count == 1:
        with RabbitMQNode.start() as node:
            yield [node]
        return
    with RabbitMQCluster.start(count) as cluster:
        yield cluster.nodes


@contextmanager
def a_folder(kept: Path | None) -> Iterator[Path]:
    """An empty folder: a temporary one, or a new one in the folder that is kept."""
    if kept is not None:
        folder = kept.absolute() / f"soak-{secrets.token_hex(3)}"
        folder.mkdir(parents=True)
        say("files", str(folder))
        yield folder
        return
    scratch = Scratch.create("soak")
    try:
        yield scratch.path
    finally:
        scratch.remove()


if __name__ == "__main__":
    sys.exit(guarded(main, sys.argv[1:]))
