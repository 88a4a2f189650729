"""Where deliveries arrive, and how it is known that they did."""

from pathlib import Path
from typing import Protocol

from bench.load import DESTINATION, Destination, Load, Queue, Script, Webhooks
from bench.traffic.queues import Queues
from bench.traffic.receiver import SECRET, Receiver
from bench.traffic.tally import Arrivals, Order
from bench.traffic.waiting import poll

# Written so that a run costs as little as can be: no program is started from it, one byte tells of it.
_SCRIPT = """\
#!/bin/sh
read -r event
printf . >>'{runs}'
"""


class Sink(Protocol):
    """One kind of destination."""

    async def prepare(self, load: Load, folder: Path) -> Destination:
        """Forget what was, and count for this load."""
        ...

    async def reached(self, count: int) -> None:
        """Returns once so many deliveries have arrived."""
        ...

    async def count(self) -> int:
        """How many have arrived."""
        ...

    async def arrivals(self) -> Arrivals:
        """All that is known of what arrived."""
        ...


class EndpointSink:
    """Webhooks arrive at the endpoint, which knows each by its number."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self.reached = receiver.reached
        self.count = receiver.count
        self.arrivals = receiver.arrivals

    async def prepare(self, load: Load, folder: Path) -> Destination:
        del folder
        await self._receiver.expect(
            Order(
                events=load.numbers + load.waiting,
                copies=load.copies,
                warm=load.warm,
                hang_every=load.hang_every,
                hang_seconds=load.hang_seconds,
                marks=load.marks,
            )
        )
        return Webhooks(self._receiver.urls(load.copies), SECRET)


class QueueSink:
    """Messages arrive in a queue, and stay there."""

    def __init__(self, queues: Queues) -> None:
        self._queues = queues
        self._expected = 0

    async def prepare(self, load: Load, folder: Path) -> Destination:
        del folder
        self._expected = load.numbers
        await self._queues.create(DESTINATION)
        return Queue(DESTINATION)

    async def reached(self, count: int) -> None:
        await poll(self.count, count, 0.02)

    async def count(self) -> int:
        return await self._queues.depth(DESTINATION)

    async def arrivals(self) -> Arrivals:
        return bare_arrivals(await self.count(), self._expected)


class ScriptSink:
    """Scripts leave one byte each in a file."""

    def __init__(self) -> None:
        self._runs = Path()
        self._expected = 0

    async def prepare(self, load: Load, folder: Path) -> Destination:
        self._expected = load.numbers
        self._runs = folder / "runs"
        self._runs.touch()
        script = folder / "script.sh"
        script.write_text(_SCRIPT.format(runs=self._runs), encoding="utf-8")
        script.chmod(0o755)
        return Script(script)

    async def reached(self, count: int) -> None:
        await poll(self.count, count, 0.005)

    async def count(self) -> int:
        return self._runs.stat().st_size

    async def arrivals(self) -> Arrivals:
        return bare_arrivals(await self.count(), self._expected)


def bare_arrivals(count: int, expected: int) -> Arrivals:
    """What is known where deliveries can only be counted."""
    return Arrivals(requests=count, missing=max(0, expected - count), repeated=max(0, count - expected))
