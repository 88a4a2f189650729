"""The endpoint's process as the one who measures sees it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from bench.traffic.tally import Arrivals, Order
from devtools.project import ROOT

SECRET = "whsec_YW1xcC1icmlkZ2UtYmVuY2gtc2VjcmV0LTMyLWJ5dGVz"


class Receiver:
    """An endpoint that was started, with a line to it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._answers: asyncio.Queue[Any] = asyncio.Queue()
        self._reached: dict[int, asyncio.Event] = {}
        self.port = 0

    @property
    def pid(self) -> int:
        return self._process.pid

    def urls(self, count: int) -> tuple[str, ...]:
        """So many addresses of the endpoint; all of them count as one."""
        return tuple(f"http://127.0.0.1:{self.port}/hook/{number}" for number in range(count))

    async def expect(self, order: Order) -> None:
        """Forget what has arrived, and count for this order from now on."""
        self._reached = {mark: asyncio.Event() for mark in order.marks}
        await self._ask({"order": asdict(order)})

    async def reached(self, mark: int) -> None:
        """Returns as soon as so many deliveries have arrived, repeated ones not counted."""
        await self._reached[mark].wait()

    async def count(self) -> int:
        """How many deliveries have arrived, repeated ones not counted."""
        count: int = await self._ask({"ask": "count"})
        return count

    async def arrivals(self) -> Arrivals:
        """All that has arrived."""
        return Arrivals(**await self._ask({"ask": "arrivals"}))

    async def _ask(self, command: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        return await asyncio.wait_for(self._answers.get(), 30)

    async def listen(self) -> None:
        """Takes in what the endpoint tells, until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            match json.loads(line):
                case {"reached": mark}:
                    self._reached[mark].set()
                case {"answer": answer}:
                    self._answers.put_nowait(answer)

    async def greet(self) -> None:
        """Learns the port."""
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), 30)
        self.port = json.loads(line)["port"]

    async def end(self) -> None:
        """The process is gone: it ends by itself when its input does."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def open_receiver() -> AsyncIterator[Receiver]:
    """An endpoint on a free port of the loopback, in its own process."""
    argv = (sys.executable, "-m", "bench.traffic.endpoint", SECRET)
    pipe = asyncio.subprocess.PIPE
    # A session of its own: Ctrl-C reaches the one who measures, and the endpoint ends with its input.
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=pipe, stdout=pipe, cwd=ROOT, start_new_session=True
    )
    receiver = Receiver(process)
    try:
        await receiver.greet()
        listening = asyncio.create_task(receiver.listen())
        try:
            yield receiver
        finally:
            listening.cancel()
    finally:
        await receiver.end()
