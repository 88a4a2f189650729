"""RabbitMQ's own shovel: queue to queue inside the broker."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from bench.load import Queue, Work
from bench.subjects.subject import Metrics, RunFailed
from devtools.nodes.scratch import Scratch
from devtools.rabbitmq import NodeControl, NodeError

PLUGIN = "rabbitmq_shovel"
_NAME = "bench-shovel"


class RunningShovel:
    """A shovel at work; what it costs is the broker's to tell."""

    def check(self) -> None:
        """A shovel that ends is noticed by what does not arrive."""

    def cpu_seconds(self) -> float:
        return 0.0

    def peak_memory_bytes(self) -> int:
        return 0

    def statements(self) -> int | None:
        return None

    def metrics(self) -> Metrics:
        return Metrics()


class Shovel:
    """A dynamic shovel that acknowledges what the destination confirmed."""

    def __init__(self, control: NodeControl) -> None:
        self._control = control

    @contextmanager
    def running(self, work: Work, scratch: Scratch) -> Iterator[RunningShovel]:
        del scratch
        try:
            self._control.rabbitmqctl("set_parameter", "shovel", _NAME, definition(work))
        except NodeError as error:
            raise RunFailed(str(error)) from error
        try:
            yield RunningShovel()
        finally:
            self._control.rabbitmqctl("clear_parameter", "shovel", _NAME)

    async def recorded(self, work: Work) -> int | None:
        del work
        return None


def definition(work: Work) -> str:
    """The shovel as its plugin wants to be told; all else is its default."""
    assert isinstance(work.destination, Queue)
    return json.dumps(
        {
            "src-protocol": "amqp091",
            "src-uri": work.bare_url,
            "src-queue": work.source,
            "dest-protocol": "amqp091",
            "dest-uri": work.bare_url,
            "dest-queue": work.destination.name,
            "ack-mode": "on-confirm",
        }
    )
