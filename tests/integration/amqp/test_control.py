"""The word among replicas on a real broker: who hears it, and when everybody is told to look anew."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import get_args

import pytest

from bridge.amqp.connection import Address, Link
from bridge.amqp.control import FanoutControl
from bridge.amqp.publisher import ConfirmedPublisher
from bridge.amqp.topology import Names, Topology
from bridge.core.event import Message
from bridge.core.ports import Kind, Outgoing
from bridge.wire.copies import MessageKeys
from tests.support.links import running_link, unique
from tests.support.waiting import until

LONG = 3600.0
KEYS = MessageKeys.derived_from([b"k" * 32])
OTHER_KEYS = MessageKeys.derived_from([b"other" * 8])


class Replica:
    """One replica's control, and what it heard."""

    def __init__(self, control: FanoutControl, link: Link, forged: list[None]) -> None:
        self.control = control
        self.forged = forged
        self.link = link
        self.heard: list[tuple[str, str]] = []
        for kind in get_args(Kind):
            control.listen(kind, partial(self._hear, kind))

    def _hear(self, kind: str, about: str) -> None:
        self.heard.append((kind, about))

    @property
    def words(self) -> list[tuple[str, str]]:
        return [word for word in self.heard if word[1]]

    @property
    def looks(self) -> int:
        return self.heard.count(("hooks", ""))


@asynccontextmanager
async def replica(amqp_url: str, exchange: str, every: float = LONG) -> AsyncIterator[Replica]:
    async with running_link(amqp_url) as hearing, running_link(amqp_url) as speaking:
        forged: list[None] = []
        control = FanoutControl(
            hearing,
            speaking,
            exchange,
            unique("replica"),
            KEYS.control,
            every=every,
            forged=lambda: forged.append(None),
        )
        one = Replica(control, hearing, forged)
        running = asyncio.create_task(control.run())
        try:
            await until(lambda: one.looks)
            yield one
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await control.close()


@pytest.fixture
async def exchange(amqp_url):
    names = Names(unique("t"))
    async with running_link(amqp_url) as link, link.channel() as channel:
        await channel.declare_exchange(names.control, "fanout", durable=True)
        yield names.control
        await channel.exchange_delete(names.control)


@pytest.fixture
async def two(amqp_url, exchange):
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(replica(amqp_url, exchange)) for _ in range(2)]


async def test_a_word_reaches_every_replica_once(two):
    await two[0].control.tell("lane", "crm")
    await two[1].control.tell("jobs", "a")
    for one in two:
        await until(lambda: len(one.words) >= 2)  # noqa: B023
    for one in two:
        assert sorted(one.words) == [("jobs", "a"), ("lane", "crm")]


async def test_our_own_word_is_heard_at_once(two):
    telling = asyncio.ensure_future(two[0].control.tell("tokens", "t"))
    await asyncio.sleep(0)
    assert two[0].words == [("tokens", "t")]
    await telling


async def test_a_new_connection_means_that_something_may_have_been_missed(two):
    before = two[0].looks
    connection = await two[0].link.connection()
    await connection.close()
    await until(lambda: two[0].looks > before)
    await two[1].control.tell("lane", "after")
    await until(lambda: ("lane", "after") in two[0].words)


async def test_everybody_looks_anew_at_intervals(amqp_url, exchange):
    async with replica(amqp_url, exchange, every=0.1) as one:
        before = one.looks
        await until(lambda: one.looks >= before + 2)


async def test_without_a_broker_a_word_is_heard_here_and_nothing_is_raised():
    class Quiet:
        def connected(self, role, address): ...

        def lost(self, role, error): ...

    link = Link("test", Address(["amqp://127.0.0.1:1/"]), Quiet())
    one = Replica(FanoutControl(link, link, "none.control", "me", KEYS.control), link, [])
    await one.control.tell("hooks", "x")
    assert one.words == [("hooks", "x")]


async def test_a_word_for_an_exchange_that_is_gone_is_given_up(two, amqp_url, exchange):
    async with running_link(amqp_url) as link, link.channel() as channel:
        await channel.exchange_delete(exchange)
        await two[0].control.tell("hooks", "x")
        assert ("hooks", "x") in two[0].words
        await channel.declare_exchange(exchange, "fanout", durable=True)


HOSTILE = {
    "nothing": b"",
    "no JSON": b"\xff\xfe",
    "a list": b"[]",
    "no kind": b'{"about": "x", "from": "y"}',
    "a kind of its own": b'{"kind": "shutdown", "about": "x", "from": "y"}',
    "a kind that is no text": b'{"kind": [], "about": "x", "from": "y"}',
    "a number": b'{"kind": "hooks", "about": 7, "from": "y"}',
    "nested": b"[" * 1000,
    "no code": b'{"kind": "hooks", "about": "x", "from": "y"}',
    "a code of another history": json.dumps(
        {"kind": "hooks", "about": "x", "from": "y", "mac": OTHER_KEYS.control.code(["hooks", "x", "y"])}
    ).encode(),
    "the code of another word": json.dumps(
        {"kind": "hooks", "about": "x", "from": "y", "mac": KEYS.control.code(["lane", "x", "y"])}
    ).encode(),
    "a code for another purpose": json.dumps(
        {"kind": "hooks", "about": "x", "from": "y", "mac": KEYS.copies.code(["hooks", "x", "y"])}
    ).encode(),
    "long": b'{"kind": "hooks", "about": "' + b"x" * 2000 + b'", "from": "y"}',
}


async def test_what_no_replica_says_is_not_heard(two, amqp_url, exchange):
    async with running_link(amqp_url) as link:
        publisher = ConfirmedPublisher(link)
        for number, body in enumerate(HOSTILE.values()):
            await publisher.publish(Outgoing(exchange, "", f"m{number}", body, {}, Message(body)))
        await publisher.close()
    await two[0].control.tell("lane", "last")
    await until(lambda: ("lane", "last") in two[1].words)
    assert two[1].words == [("lane", "last")]
    assert len(two[1].forged) == len(HOSTILE)


async def test_a_listener_that_raises_keeps_the_word_from_nobody(two):
    def bug(_about: str) -> None:
        raise RuntimeError("bug")

    heard: list[str] = []
    two[1].control.listen("lane", bug)
    two[1].control.listen("lane", heard.append)
    await two[0].control.tell("lane", "crm")
    await until(lambda: heard == ["crm"])


async def test_the_queue_of_a_replica_goes_with_it(amqp_url, exchange):
    async with replica(amqp_url, exchange) as one:
        queue = one.control._queue
        async with running_link(amqp_url) as link:
            assert (
                list(await Topology(link, Names()).counts([queue])) == []
            )  # exclusive: nobody else may look
    async with running_link(amqp_url) as link:
        topology = Topology(link, Names())
        await until(lambda: _is_gone(topology, queue))


async def _is_gone(topology: Topology, queue: str) -> bool:
    return await topology.depth(queue) is None
