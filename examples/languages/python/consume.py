"""Prints every message of a queue, one per line, until Ctrl-C or SIGTERM:

python3 consume.py --queue hooks2
"""

import asyncio
import contextlib
import signal
import sys

import aio_pika
from aio_pika.abc import AbstractQueue
from connection import declare_queue, options


def work(body: bytes) -> None:
    """The work: whatever is to be done with a message."""
    sys.stdout.buffer.write(body + b"\n")
    sys.stdout.buffer.flush()


async def work_through(queue: AbstractQueue) -> None:
    """One message at a time, for ever.

    Acknowledged after the work, never before it: what is not acknowledged when we end, even if we crash, goes back
    to the queue. So an exception may simply end this program, and whatever watches over it starts it again.
    """
    async with queue.iterator() as messages:
        async for message in messages:
            work(message.body)
            await message.ack()


async def main() -> None:
    given = options("Print every message of a queue.")
    async with await aio_pika.connect(given.url) as connection:
        channel = await connection.channel()
        # At most ten messages wait here; all others stay in the queue, for other consumers too.
        await channel.set_qos(prefetch_count=10)
        working = asyncio.create_task(work_through(await declare_queue(channel, given.queue)))

        # A signal ends the waiting between two messages, never the work on one.
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, working.cancel)
        print(f"waiting for messages in {given.queue}", file=sys.stderr, flush=True)
        with contextlib.suppress(asyncio.CancelledError):
            await working
        if not working.cancelling():
            raise SystemExit("error: the broker closed the connection")


asyncio.run(main())
