"""All sources of a process are left together, whatever keeps the broker from answering."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.app.consumption import SourceConsumers, Sources
from bridge.core.budget import Budget


class Consumer:
    """A consumer whose end the broker confirms, or not."""

    def __init__(self, *, silent: bool) -> None:
        self.silent = silent
        self.asked = False

    async def unsubscribe(self, _queue: str) -> None:
        self.asked = True
        if self.silent:
            await asyncio.Event().wait()


class Way:
    """A source's way in."""

    def __init__(self, name: str) -> None:
        self.source = SimpleNamespace(name=name, queue=name, prefetch=500)
        self.returns = SimpleNamespace(spent_by_nacks=False)
        self.left = 0
        self.given_back = 0

    async def leave(self) -> None:
        self.left += 1

    def requeue(self) -> None:
        self.given_back += 1


async def test_a_consumer_whose_end_nobody_confirms_keeps_no_source_from_being_left():
    ways, consumers = [Way("first"), Way("second")], [Consumer(silent=True), Consumer(silent=False)]
    pairs: Any = SourceConsumers()
    for way, consumer in zip(ways, consumers, strict=True):
        pairs[way.source.queue] = way, consumer
    consumption: Any = SimpleNamespace(prefetch=SimpleNamespace(bound=lambda *_: None))
    sources = Sources(pairs, consumption, Budget())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await sources.leave(for_good=True)
    assert all(consumer.asked for consumer in consumers)
    assert [way.left for way in ways] == [1, 1]
    consumers[0].silent = False
    await sources.leave()
    assert [way.given_back for way in ways] == [1, 1]
