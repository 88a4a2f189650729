"""CPU that the history costs per delivery: alone, and beside an event loop that is never idle.

Each delivery is an event of about 400 bytes, one attempt, and its success. CPU is that of this process over
all threads; what the busy loop's own work costs is measured before and taken off.
"""

import asyncio
import hashlib
import resource
import time
from dataclasses import dataclass

import uuid_utils
from sqlalchemy import Engine, event

from bridge.core.delivery import Attempt, Delivery, Entry, Record, Status
from bridge.core.event import Event, Message
from bridge.history.history import SqlHistory, open_history

BODY = (
    b'{"type":"data","data":{"model":"models\\\\admin\\\\customers\\\\Customer","attributes":"'
    + b"x" * 310
    + b'"}}'
)


@dataclass
class Statements:
    """How many were sent."""

    count: int = 0

    def watch(self) -> None:
        event.listen(Engine, "before_cursor_execute", self._add)

    def _add(self, *_: object) -> None:
        self.count += 1


def record(now: float) -> Entry:
    message = Message(
        BODY, routing_key="hooks2", headers={"X-Event": "edit"}, content_type="application/json"
    )
    found = Event(
        id=str(uuid_utils.uuid7()),
        source="splynx",
        type="customers.edit",
        format="splynx",
        received_at=now,
        message=message,
        time="2024-05-01T12:00:00+02:00",
        webhook_id=f"msg_{uuid_utils.uuid4()}",
    )
    delivery = Delivery(str(uuid_utils.uuid7()), found, "crm")
    return Record(
        delivery, "webhook", Status.SUCCESS, "", now + 0.05, Attempt(1, now, 12.5, "delivered", 200, b"ok")
    )


class BusyLoop:
    """Work on the event loop that never ends."""

    def __init__(self) -> None:
        self.rounds = 0

    async def run(self) -> None:
        while True:
            for _ in range(20):
                hashlib.sha256(BODY)
            self.rounds += 1
            await asyncio.sleep(0)


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def price_of_a_round() -> float:
    busy = BusyLoop()
    started = cpu()
    task = asyncio.create_task(busy.run())
    await asyncio.sleep(1)
    task.cancel()
    return (cpu() - started) / busy.rounds


async def measure(history: SqlHistory, batches: list[list[Entry]], title: str, *, busy: bool) -> None:
    price = await price_of_a_round() if busy else 0.0
    loop = BusyLoop()
    task = asyncio.create_task(loop.run()) if busy else None
    statements = Statements()
    statements.watch()
    started, began = cpu(), time.perf_counter()
    for batch in batches:
        await history.commit(batch)
    used, took = cpu() - started - loop.rounds * price, time.perf_counter() - began
    if task is not None:
        task.cancel()
    deliveries = sum(map(len, batches))
    print(
        f"{title:>6}: {used / deliveries * 1e6:5.1f} us CPU per delivery, {took / len(batches) * 1e3:5.1f} ms per batch, "
        f"{statements.count / deliveries:.3f} statements per delivery"
    )


async def measure_all(url: str, batches: int = 40, size: int = 500) -> None:
    """Prints both figures."""
    history = await open_history(url)
    try:
        await history.commit([record(time.time()) for _ in range(511)])  # compiles every statement
        for title, busy in (("alone", False), ("busy", True)):
            made = [[record(time.time()) for _ in range(size)] for _ in range(batches)]
            await measure(history, made, title, busy=busy)
    finally:
        await history.close()
