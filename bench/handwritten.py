"""What people write when they need webhooks from a queue: aio-pika, aiohttp, a signature. Nothing else.

No history, no retry, no routing: it is what the bridge is measured against, written to be quick. Requests
are signed as Standard Webhooks say, over the body's own bytes, like those of the bridge.
"""

import argparse
import asyncio
import base64
import hmac
import logging
import signal
import time
import uuid
from collections.abc import Sequence

import aio_pika
import aiohttp
import uvloop
from aio_pika.abc import AbstractIncomingMessage

PREFETCH = 500

log = logging.getLogger("handwritten")


class Consumer:
    """Posts every message to every URL and acknowledges it; at most `concurrency` posts at once for each URL."""

    def __init__(
        self, session: aiohttp.ClientSession, urls: Sequence[str], secret: str, concurrency: int
    ) -> None:
        self._session = session
        self._urls = urls
        self._key = base64.b64decode(secret.removeprefix("whsec_"))
        self._queue: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        self._concurrency = concurrency

    async def on_message(self, message: AbstractIncomingMessage) -> None:
        """Hands over to a worker: a fixed pool is cheaper than a task for every post."""
        self._queue.put_nowait(message)

    async def work(self) -> None:
        """One of `concurrency` workers."""
        while True:
            message = await self._queue.get()
            try:
                await self._deliver(message.body, message.message_id or uuid.uuid4().hex)
            except (aiohttp.ClientError, TimeoutError) as error:
                log.warning("not delivered: %s", error)
                await asyncio.sleep(1)
                await message.nack(requeue=True)
            else:
                await message.ack()

    async def _deliver(self, body: bytes, message_id: str) -> None:
        headers = self._headers(body, message_id)
        if len(self._urls) == 1:
            await self._post(self._urls[0], body, headers)
            return
        async with asyncio.TaskGroup() as group:
            for url in self._urls:
                group.create_task(self._post(url, body, headers))

    def _headers(self, body: bytes, message_id: str) -> dict[str, str]:
        timestamp = str(int(time.time()))
        signed = f"{message_id}.{timestamp}.".encode() + body
        signature = base64.b64encode(hmac.digest(self._key, signed, "sha256")).decode()
        return {
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1,{signature}",
        }

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        async with self._session.post(url, data=body, headers=headers) as response:
            await response.read()
            response.raise_for_status()


async def consume(options: argparse.Namespace) -> None:
    """Consumes until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    timeout = aiohttp.ClientTimeout(total=15)
    connection = await aio_pika.connect_robust(options.amqp)
    async with connection, aiohttp.ClientSession(timeout=timeout) as session:
        consumer = Consumer(session, options.urls, options.secret, options.concurrency)
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=PREFETCH)
        queue = await channel.declare_queue(options.queue, durable=True)
        workers = [asyncio.create_task(consumer.work()) for _ in range(options.concurrency)]
        await queue.consume(consumer.on_message)
        await stop.wait()
        for worker in workers:
            worker.cancel()


def main() -> None:
    """Consumes from a queue until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--amqp", required=True, help="the broker's URL")
    parser.add_argument("--queue", required=True)
    parser.add_argument("--secret", required=True, help="whsec_...")
    parser.add_argument("--concurrency", type=int, default=16, help="posts at once")
    parser.add_argument("--uvloop", action="store_true", help="instead of the default event loop")
    parser.add_argument("urls", nargs="+")
    options = parser.parse_args()
    run = uvloop.run if options.uvloop else asyncio.run
    run(consume(options))


if __name__ == "__main__":
    main()
