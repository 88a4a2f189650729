"""`./dev bench replay`: many failed deliveries replayed at a rate by a bridge that is killed with kill -9 half-way."""

import argparse
import asyncio
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import uuid_utils
import yaml
from aiohttp import web

from bench.measuring.stage import open_bench_broker
from bench.traffic.events import event_body, number_of
from bench.traffic.waiting import poll
from bridge.core.delivery import Attempt, Delivery, Record, Status
from bridge.core.event import Event, Message
from bridge.history.history import open_history
from devtools.nodes.ports import free_ports
from devtools.nodes.scratch import Scratch
from devtools.project import PROGRAMS

HOOK = "bench"
TOKEN = "bench-token"
MOST_REPEATED = 200
"""A batch."""
_WRITTEN_AT_ONCE = 512
_PATIENCE = 120.0
EPILOG = """\
The deliveries are written into an empty SQLite history as FAILED; an endpoint that answers 200 takes them. It counts
how often each arrives: a repeat is an attempt whose outcome was not committed when the bridge was killed.

exit codes: 0 each was delivered, at most a batch of 200 repeated, the rate within 10 %; 1 otherwise
"""


@dataclass(frozen=True)
class Outcome:
    """What came of it. `rate` is measured before the kill, per second."""

    deliveries: int
    delivered: int
    repeated: int
    asked_rate: float
    rate: float
    seconds: float
    down_seconds: float
    counted: dict[str, int]
    """Deliveries by status in the end."""

    @property
    def is_good(self) -> bool:
        """Whether all bounds hold."""
        return (
            self.counted == {Status.SUCCESS: self.deliveries}
            and self.delivered == self.deliveries
            and self.repeated <= MOST_REPEATED
            and abs(self.rate - self.asked_rate) <= self.asked_rate / 10
        )


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(
        prog="./dev bench replay",
        description="Replay failed deliveries, with a kill -9 half-way.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--deliveries", type=int, default=20_000, help="how many (default 20,000)")
    parser.add_argument("--rate", type=float, default=300.0, help="per second (default 300)")
    chosen = parser.parse_args(arguments)
    scratch = Scratch.create("bench")
    try:
        with open_bench_broker() as broker:
            run = Run(broker.url, scratch.path, chosen.deliveries, chosen.rate)
            outcome = asyncio.run(run.outcome())
    finally:
        scratch.remove()
    print(json.dumps(asdict(outcome), indent=2))
    return 0 if outcome.is_good else 1


class Run:
    """One replay from its beginning to its end."""

    def __init__(self, amqp_url: str, folder: Path, deliveries: int, rate: float) -> None:
        self._amqp_url = amqp_url
        self._folder = folder
        self._deliveries = deliveries
        self._rate = rate
        self._arrived: list[tuple[float, int]] = []
        [self._port, self._endpoint_port] = free_ports(2)

    async def outcome(self) -> Outcome:
        """What came of it."""
        await self._write_history()
        self._write_settings()
        async with self._endpoint():
            first = await self._start()
            started = time.monotonic()
            await self._ask("POST", "/replays", {"filter": {"hook": HOOK}, "rate": self._rate})
            await self._until(self._deliveries // 2)
            first.send_signal(signal.SIGKILL)
            await first.wait()
            killed_at, before = time.monotonic(), list(self._arrived)
            second = await self._start()
            await self._until_all_succeeded()
            ended = time.monotonic()
            second.send_signal(signal.SIGTERM)
            await second.wait()
        after = next(at for at, _ in self._arrived[len(before) :])
        times = Counter(number for _, number in self._arrived)
        return Outcome(
            deliveries=self._deliveries,
            delivered=len(times),
            repeated=times.total() - len(times),
            asked_rate=self._rate,
            rate=round((len(before) - 1) / (before[-1][0] - before[0][0]), 1),
            seconds=round(ended - started, 1),
            down_seconds=round(after - killed_at, 1),
            counted=await self._counted(),
        )

    async def _write_history(self) -> None:
        history = await open_history(self._storage)
        at = time.time() - 3600
        for start in range(0, self._deliveries, _WRITTEN_AT_ONCE):
            numbers = range(start, min(start + _WRITTEN_AT_ONCE, self._deliveries))
            await history.commit([_failed(number, at) for number in numbers])
        await history.close()

    def _write_settings(self) -> None:
        target = {"type": "webhook", "url": f"http://127.0.0.1:{self._endpoint_port}/", "profile": "none"}
        settings = {
            "broker": {"url": self._amqp_url, "prefix": "bench-replay"},
            "storage": {"url": self._storage},
            "http": {
                "listen": f"127.0.0.1:{self._port}",
                "admin_token": TOKEN,
                "allow_private_targets": ["127.0.0.0/8"],
            },
            "sources": [{"name": "bench", "queue": "bench-replay", "format": "splynx"}],
            "hooks": [{"name": HOOK, "retry": {"preset": "none"}, "target": target}],
        }
        Path(self._folder, "bridge.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")

    @property
    def _storage(self) -> str:
        return f"sqlite:///{self._folder / 'bridge.db'}"

    @asynccontextmanager
    async def _endpoint(self) -> AsyncIterator[None]:
        async def take(request: web.BaseRequest) -> web.Response:
            self._arrived.append((time.monotonic(), number_of(await request.read())))
            return web.Response()

        runner = web.ServerRunner(web.Server(take))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self._endpoint_port).start()
        try:
            yield
        finally:
            await runner.cleanup()

    async def _start(self) -> asyncio.subprocess.Process:
        log = self._folder / "log.txt"
        with await asyncio.to_thread(log.open, "ab") as written:
            process = await asyncio.create_subprocess_exec(
                str(PROGRAMS / "amqp-bridge"),
                "run",
                "-c",
                str(self._folder / "bridge.yaml"),
                stdout=written,
                stderr=written,
            )
        await self._wait(self._is_ready)
        return process

    async def _is_ready(self) -> bool:
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"http://127.0.0.1:{self._port}/health/ready")).is_success
        except httpx.TransportError:
            return False

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(headers=headers) as client:
            url = f"http://127.0.0.1:{self._port}/api/v1{path}"
            return (await client.request(method, url, json=body)).raise_for_status().json()

    async def _until(self, count: int) -> None:
        async def arrived() -> bool:
            return len(self._arrived) >= count

        await self._wait(arrived)

    async def _until_all_succeeded(self) -> None:
        async def all_are() -> bool:
            return await self._counted() == {Status.SUCCESS: self._deliveries}

        await self._wait(all_are, every=0.5)

    async def _counted(self) -> dict[str, int]:
        history = await open_history(self._storage)
        try:
            return await history.counts_by_status()
        finally:
            await history.close()

    async def _wait(self, look: Any, every: float = 0.02) -> None:
        async with asyncio.timeout(_PATIENCE + self._deliveries / self._rate):
            await poll(look, 1, every)


def _failed(number: int, at: float) -> Record:
    """The record of a delivery that failed."""
    moment = at + number / 1000
    event = Event(
        id=_id_of(moment, number),
        source="bench",
        type="customers.customer.add",
        format="splynx",
        received_at=moment,
        message=Message(event_body(number, int(moment * 1e9)), routing_key="bench-replay"),
    )
    attempt = Attempt(1, moment, 1.0, "status", 500, b"", "status 500")
    return Record(
        Delivery(str(uuid_utils.uuid7()), event, HOOK),
        "webhook",
        Status.FAILED,
        "status_500",
        moment,
        attempt,
    )


def _id_of(moment: float, number: int) -> str:
    """A UUIDv7 of that time."""
    return str(UUID(int=int(moment * 1000) << 80 | 7 << 76 | 2 << 62 | number))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
