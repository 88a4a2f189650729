"""What every run needs and is started once: broker, endpoint, a folder."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.subjects.meter import Meter
from bench.subjects.shovel import PLUGIN
from bench.traffic.queues import Queues, open_queues
from bench.traffic.receiver import Receiver, open_receiver
from devtools.choice.broker import Broker, open_broker
from devtools.nodes.handshake import shake_hands
from devtools.nodes.scratch import Scratch


@dataclass
class Stage:
    """Where runs take place."""

    broker: Broker
    broker_meter: Meter | None
    queues: Queues
    receiver: Receiver
    receiver_meter: Meter
    scratch: Scratch
    runs: int = 0

    def new_folder(self) -> Path:
        """An empty folder for one run."""
        self.runs += 1
        folder = self.scratch.path / f"run-{self.runs}"
        folder.mkdir()
        return folder


def open_bench_broker() -> AbstractContextManager[Broker]:
    """A broker of our own with all that is measured: one that serves somebody else would tell nothing."""
    return open_broker({}, plugins=[PLUGIN])


@asynccontextmanager
async def open_stage(broker: Broker) -> AsyncIterator[Stage]:
    """An endpoint and a folder beside the broker."""
    async with open_receiver() as receiver, open_queues(broker.url) as queues:
        scratch = Scratch.create("bench")
        try:
            yield Stage(broker, meter_of(broker), queues, receiver, Meter(receiver.pid), scratch)
        finally:
            scratch.remove()


def version_of(broker: Broker) -> str:
    """What the broker says of itself."""
    greeting = shake_hands(broker.url)
    return f"{greeting.product} {greeting.version}"


def meter_of(broker: Broker) -> Meter | None:
    """The broker's meter; None where it does not run as a process of ours."""
    if broker.folder is None:
        return None
    return Meter(int((broker.folder / "node.pid").read_text(encoding="ascii")))
