"""A source over whose messages the broker ends the connection: it is named, and the others go on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from yarl import URL

from bridge.core.survey import OUR_CONSUMERS
from tests.support.proxy import Proxy
from tests.support.scene import Scene
from tests.support.waiting import until

_CONSUME = b"\x00\x3c\x00\x14\x00\x00"
_TAG = bytes([len(OUR_CONSUMERS) + 32]) + OUR_CONSUMERS.encode()
"""Of a consumer that gets messages: a look at the queue's kind is none."""
_REASON = b"INTERNAL_ERROR"
_CLOSE = b"\x00\x0a\x00\x32" + (541).to_bytes(2) + bytes([len(_REASON)]) + _REASON + bytes(4)
_CLOSE_FRAME = b"\x01\x00\x00" + len(_CLOSE).to_bytes(4) + _CLOSE + b"\xce"


class Poisoned(Proxy):
    """Ends each connection on which a certain queue is consumed, in the words of RabbitMQ 3.10 when its writer crashed."""

    def __init__(self, port: int, queue: str) -> None:
        super().__init__(port)
        name = queue.encode()
        self.consuming = _CONSUME + bytes([len(name)]) + name + _TAG
        self.cured = False

    async def _forward(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, client: asyncio.StreamWriter
    ) -> None:
        if sink is client:
            await super()._forward(source, sink, client=client)
            return
        while data := await source.read(65_536):
            if not self.cured and self.consuming in data:
                client.write(_CLOSE_FRAME)
                break
            sink.write(data)
        sink.close()


@asynccontextmanager
async def poisoned(port: int, queue: str) -> AsyncIterator[Poisoned]:
    proxy = Poisoned(port, queue)
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.close()


async def test_a_source_whose_messages_end_the_connection_is_named_and_the_others_go_on(harmed: Scene):
    good, bad = await harmed.queue("good"), await harmed.queue("bad")
    url = URL(harmed.amqp_url)
    async with poisoned(url.port or 5672, bad) as proxy:
        sources = [{"name": "good", "queue": good}, {"name": "bad", "queue": bad}]
        through = str(url.with_host("127.0.0.1").with_port(proxy.port))
        async with harmed.prepared([harmed.webhook("crm")], sources, amqp_url=through) as bridge:
            await bridge.launch()
            await until(lambda: bridge.said("http.listening"), 30, what=bridge.last_words)
            bridge.url = bridge.said("http.listening")[0]["address"]

            async def named() -> bool:
                health = (await bridge.health())[1]
                return any("source 'bad' alone" in problem for problem in health.get("problems", ()))

            await until(named, 60, what=bridge.last_words)
            await harmed.queues.publish(good, [b"1", b"2"])
            await until(lambda: len(harmed.endpoint.received("/crm")) == 2, 30, what=bridge.last_words)
            health = (await bridge.health())[1]
            assert health["status"] == "degraded"
            assert health["consumers"]["good"] == "consuming"
            assert {each["source"] for each in bridge.said("connection.ends_again")} == {"", "bad"}

            proxy.cured = True
            await harmed.queues.publish(bad, [b"3"])
            await until(lambda: len(harmed.endpoint.received("/crm")) == 3, 30, what=bridge.last_words)
            await bridge.stop()
