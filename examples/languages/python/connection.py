"""What publisher and consumer share: options, and the declaration of the queue."""

import argparse
import os
from pathlib import Path

from aio_pika.abc import AbstractChannel, AbstractQueue

WORK = str(Path(__file__).parents[1] / "shell" / "work.sh")


def options(description: str, *, works: bool = False) -> argparse.Namespace:
    """--url, --queue and --type; the first two may come from AMQP_URL and AMQP_QUEUE.

    Of one that `works` a program with its arguments may follow.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--url", default=os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/"))
    parser.add_argument("--queue", default=os.environ.get("AMQP_QUEUE", "hooks2"))
    parser.add_argument("--type")
    if works:
        parser.add_argument("program", nargs=argparse.REMAINDER, help=f"default: {WORK}")
    given = parser.parse_args()
    if works and not given.program:
        given.program = [WORK]
    return given


async def declare_queue(channel: AbstractChannel, queue: str) -> AbstractQueue:
    """The queue, made if nobody has yet.

    Whoever comes first makes it; for all others this only says that they mean the same one. Every program that uses
    the queue must name these same parameters: with any other the broker answers 406 PRECONDITION_FAILED.
    """
    return await channel.declare_queue(queue, durable=True, exclusive=False, auto_delete=False, arguments={})
