"""How long a stream is: the broker tells its length seconds late, and no offsets, so its last messages are read."""

import asyncio
from typing import Any

from aiormq import exceptions as amqp
from aiormq.abc import DeliveredMessage

from bridge.broker.link import Link
from bridge.model.errors import BrokerUnavailable

_AT_ONCE = 200
_STILL = 1.0
"""Seconds in which nothing more came: that was all."""
_MOST = 100_000


async def last_offset(link: Link, queue: str, enough: int) -> int | None:
    """The offset of the last message, or one that is at least `enough`; None where nothing comes.

    Raises BrokerUnavailable.
    """
    offsets: asyncio.Queue[int] = asyncio.Queue()
    last: int | None = None
    try:
        async with link.channel() as channel:

            async def read(message: DeliveredMessage) -> None:
                headers: Any = message.header.properties.headers or {}
                offsets.put_nowait(int(headers.get("x-stream-offset", -1)))
                if message.delivery_tag is not None:
                    await channel.basic_ack(message.delivery_tag, wait=False)

            await channel.basic_qos(prefetch_count=_AT_ONCE)
            await channel.basic_consume(queue, read, arguments={"x-stream-offset": "last"})
            for _ in range(_MOST):
                last = await asyncio.wait_for(offsets.get(), _STILL)
                if last >= enough:
                    break
    except TimeoutError:
        return last
    except (amqp.AMQPError, OSError, RuntimeError) as error:
        raise BrokerUnavailable(str(error)) from error
    return last
