"""How long a stream is: the broker tells its length seconds late, and no offsets, so its last messages are read."""

import asyncio
import math
import time
from typing import Any, Literal

from aiormq import exceptions as amqp
from aiormq.abc import DeliveredMessage

from bridge.amqp.connection import Link
from bridge.core.errors import BrokerUnavailable

_AT_ONCE = 200
_STILL = 1.0
"""Seconds in which nothing more came: that was all."""
_MOST = 100_000
_NO_END = 1 << 63
_LONGEST = 5.0
"""Seconds after which the end of a stream to which messages come all the time is where it was then."""


async def first_place(link: Link, queue: str, offset: Literal["last", "next"]) -> int | None:
    """The last offset that a reader passes over who begins with the last messages, or with the next one.

    None where nothing comes. Times will not do for either: the broker knows whole seconds, and by its own clock. Raises
    BrokerUnavailable.
    """
    if offset == "next":
        return await last_offset(link, queue, _NO_END, within=_LONGEST)
    first = await last_offset(link, queue, 0)
    return None if first is None else first - 1


async def last_offset(link: Link, queue: str, enough: int, *, within: float = math.inf) -> int | None:
    """The offset of the last message, or one that is at least `enough`; None where nothing comes.

    `within`: seconds after which the one that came last is enough. Raises BrokerUnavailable.
    """
    until = time.monotonic() + within
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
                if last >= enough or time.monotonic() > until:
                    break
    except TimeoutError:
        return last
    except (amqp.AMQPError, OSError, RuntimeError) as error:
        raise BrokerUnavailable(str(error)) from error
    return last
