"""Publishes standard input, byte for byte, as one message:

python3 publish.py --queue hooks2 --type customer.created <event.json
"""

import asyncio
import sys
import uuid

import aio_pika
from connection import declare_queue, options


async def main() -> None:
    given = options("Publish standard input as one message.")
    body = sys.stdin.buffer.read()
    async with await aio_pika.connect(given.url) as connection:
        # On a channel with confirms publish() returns once the broker has the message; a message that no queue
        # took raises.
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        await declare_queue(channel, given.queue)

        message = aio_pika.Message(
            body,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,  # it survives a restart of the broker
            content_type="application/json",
            message_id=str(uuid.uuid4()),  # by it a receiver knows what it has seen before
            type=given.type,  # what patterns of hooks are compared with, for bodies of no known format
        )
        # The default exchange: the routing key is the name of a queue. Mandatory: do not drop it silently if there
        # is no such queue.
        await channel.default_exchange.publish(message, routing_key=given.queue, mandatory=True)
    print(f"published {len(body)} bytes to {given.queue}, confirmed", file=sys.stderr)


asyncio.run(main())
