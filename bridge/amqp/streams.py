"""How long a stream is: the broker tells its length seconds late, and no offsets, so its last messages are read."""

import asyncio
import math
import time
import uuid
from typing import Literal

from aiormq import exceptions as amqp

from bridge.amqp.connection import Link
from bridge.core.errors import BrokerUnavailable
from bridge.core.event import Message
from bridge.core.survey import OUR_CONSUMERS

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
    offsets: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
    consumer = f"{OUR_CONSUMERS}{uuid.uuid4().hex}"
    last: int | None = None

    def take(tag: int, message: Message) -> None:
        offsets.put_nowait((tag, int(message.headers.get("x-stream-offset", -1))))

    connection = await link.connection()
    try:
        async with link.channel() as channel:
            underlay = await channel.get_underlay_channel()
            await channel.set_qos(prefetch_count=_AT_ONCE)
            # Through our own reader, which takes any message: the library's ends the connection over some.
            await connection.consume(channel, queue, consumer, take, {"x-stream-offset": "last"})
            for _ in range(_MOST):
                tag, offset = await asyncio.wait_for(offsets.get(), _STILL)
                last = offset
                await underlay.basic_ack(tag, wait=False)
                if offset >= enough or time.monotonic() > until:
                    break
    except TimeoutError:
        return last
    except (amqp.AMQPError, OSError, RuntimeError) as error:
        raise BrokerUnavailable(str(error)) from error
    finally:
        connection.forget(consumer)
    return last
