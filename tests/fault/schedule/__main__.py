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
from tests.fault.schedule.options import parser
from tests.fault.schedule.report import Report
from tests.fault.schedule.run import Plan, Run
from tests.fault.schedule.stage import open_stage
from tests.support.postgres import new_database


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    # Every fault makes the publisher's AMQP library report at length that its connection is gone.
    logging.getLogger("aiormq").setLevel(logging.CRITICAL + 1)
    report = run(parse(arguments))
    print(report)  # noqa: T201 - the summary is what it is for
    return 0 if report.passed else 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options of `./dev soak`."""
    wanted = parser()
    chosen = wanted.parse_args(arguments)
    if chosen.nodes == 2:
        wanted.error("--nodes 2: of two nodes none may go, for the majority would be gone; use 1, 3 or more")
    if chosen.seed is None:
        chosen.seed = secrets.randbelow(1_000_000)
    return chosen


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
