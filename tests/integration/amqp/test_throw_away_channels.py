"""Channels for one call, whose caller may give up at any moment."""

import asyncio
import gc

import pytest
from aio_pika.tools import OneShotCallback
from aiormq.exceptions import ChannelNotFoundEntity
from yarl import URL

from bridge.amqp.connection import Link
from tests.support.links import Heard, running_link, unique
from tests.support.proxy import Proxy, open_proxy
from tests.support.waiting import until

DELAY = 0.3
"""Of the slow network, in each direction."""


@pytest.mark.parametrize("stage", ["opening", "asking", "closing"])
async def test_a_call_that_is_given_up_leaves_the_connection_to_the_others(amqp_url: str, stage: str):
    url, heard = URL(amqp_url), Heard()
    async with (
        open_proxy(url.port or 5672) as proxy,
        running_link(str(url.with_port(proxy.port)), heard) as link,
    ):
        asking = asyncio.create_task(ask(link, proxy, slow_from=stage))
        await until(lambda: proxy.delay > 0)
        # By now the broker has what was asked of it, and its answer is still under way.
        await asyncio.wait({asking}, timeout=DELAY * 1.5)
        asking.cancel()
        proxy.delay = 0.0
        await asyncio.wait({asking})
        await ask(link, proxy)
        closing = (await link.connection()).closing
        # What the broker has against a frame it says when it comes to it, not in order.
        await asyncio.wait({closing}, timeout=0.3)

    assert (heard.connects, heard.losses) == (1, [])


async def test_channels_that_ended_leave_nothing_on_their_connection(link: Link):
    """The library's keeps a callback for each, which is all that a connection of many weeks would hold."""
    await channels_that_end(link)
    before = callbacks()
    for _ in range(20):
        await channels_that_end(link)
    assert callbacks() == before


async def channels_that_end(link: Link) -> None:
    """One that the broker closes, and one that we do."""
    with pytest.raises(ChannelNotFoundEntity):
        async with link.channel() as channel:
            await channel.get_queue(unique("missing"))
    async with link.channel() as channel:
        await channel.set_qos(prefetch_count=1)


def callbacks() -> int:
    gc.collect()
    return sum(isinstance(each, OneShotCallback) for each in gc.get_objects())


async def ask(link: Link, proxy: Proxy, *, slow_from: str = "never") -> None:
    """One call on a channel of its own, on a network that becomes slow at this stage."""
    proxy.delay = DELAY if slow_from == "opening" else 0.0
    async with link.channel() as channel:
        proxy.delay = DELAY if slow_from == "asking" else proxy.delay
        await channel.declare_queue(unique("asked"), exclusive=True)
        proxy.delay = DELAY if slow_from == "closing" else proxy.delay
