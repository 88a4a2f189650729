"""Runs a program for every message of a queue, until Ctrl-C or SIGTERM:

python3 consume.py --queue hooks2           runs shell/work.sh, which prints the message
python3 consume.py --queue hooks2 ./mine    runs your own

The program finds the message on its standard input.
"""

import asyncio
import contextlib
import signal
import subprocess
import sys

import aio_pika
from aio_pika.abc import AbstractQueue
from connection import declare_queue, options


async def work(body: bytes, program: list[str]) -> None:
    """The work: whatever is to be done with a message. Put your own code here; it returns when the work is done, and raises
    when it failed.

    What it must not do is print into a pipe and be content: a pipe takes 64 kB that perhaps nobody ever reads. The exit
    code of a program tells.
    """
    process = await asyncio.create_subprocess_exec(*program, stdin=subprocess.PIPE)
    await process.communicate(body)
    if process.returncode != 0:
        raise RuntimeError(f"the work failed with exit code {process.returncode}")


async def work_through(queue: AbstractQueue, program: list[str], busy: asyncio.Lock) -> None:
    """One message at a time, for ever.

    Acknowledged after the work, never before it: what is not acknowledged when we end, even if we crash, goes back
    to the queue. So a failure may simply end this program, and whatever watches over it starts it again.
    """
    async with queue.iterator() as messages:
        async for message in messages:
            async with busy:
                await work(message.body, program)
                await message.ack()


async def main() -> None:
    given = options("Run a program for every message of a queue.", works=True)
    async with await aio_pika.connect(given.url) as connection:
        channel = await connection.channel()
        # At most ten messages wait here; all others stay in the queue, for other consumers too.
        await channel.set_qos(prefetch_count=10)
        busy = asyncio.Lock()
        queue = await declare_queue(channel, given.queue)
        working = asyncio.create_task(work_through(queue, given.program, busy))

        async def stop() -> None:
            async with busy:
                working.cancel()

        # A signal ends the waiting between two messages, never the work on one.
        loop, stops = asyncio.get_running_loop(), []
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda: stops.append(asyncio.create_task(stop())))
        print(f"waiting for messages in {given.queue}", file=sys.stderr, flush=True)
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await working
        except (OSError, RuntimeError) as error:
            raise SystemExit(f"error: {error}") from None
        if not working.cancelling():
            raise SystemExit("error: the broker closed the connection")


asyncio.run(main())
