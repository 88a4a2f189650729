"""Channels for one call, whose caller may give up at any moment."""

import asyncio

import pytest
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
        closing.cancel()

    assert (heard.connects, heard.losses) == (1, [])


async def ask(link: Link, proxy: Proxy, *, slow_from: str = "never") -> None:
    """One call on a channel of its own, on a network that becomes slow at this stage."""
    proxy.delay = DELAY if slow_from == "opening" else 0.0
    async with link.channel() as channel:
        proxy.delay = DELAY if slow_from == "asking" else proxy.delay
        await channel.queue_declare(unique("asked"), exclusive=True)
        proxy.delay = DELAY if slow_from == "closing" else proxy.delay
