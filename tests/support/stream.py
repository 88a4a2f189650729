"""A stream of events through a bridge while something bad happens to it."""

import asyncio
from collections import Counter

from devtools.rabbitmq import NodeControl
from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import slow
from tests.support.scene import Scene
from tests.support.waiting import until

PREFETCH = 50
QUICK = {"heartbeat": "1s", "connect_timeout": "2s", "publish_timeout": "3s"}


def numbered(events: int) -> list[bytes]:
    """So many bodies, no two of them equal."""
    return [b"%d" % number for number in range(events)]


EVENTS = numbered(300)


class Stream:
    """Events to one hook, and what must be true of them in the end, whatever came in between."""

    def __init__(
        self,
        scene: Scene,
        node: NodeControl,
        bridge: BridgeProcess,
        source: str,
        events: int = len(EVENTS),
    ) -> None:
        self.scene = scene
        self.node = node
        self.bridge = bridge
        self.source = source
        self.events = numbered(events)

    @property
    def arrived(self) -> Counter[bytes]:
        """How often each event reached the endpoint."""
        return Counter(self.scene.endpoint.bodies("/crm"))

    async def under_way(self, count: int) -> None:
        """Return once so many different events have arrived."""
        await until(lambda: len(self.arrived) >= count, 30, what=self.bridge.last_words)

    async def complete(self, seconds: float = 30) -> None:
        """All arrived, all recorded, nothing waits anywhere."""
        await until(self._complete, seconds, what=self._state)
        await until(self._nothing_is_held, seconds, what=self._state)
        await until(self._complete, seconds, what=self._state)
        await self.bridge.stop()
        assert await self.scene.queues.depth(self.source) == 0
        assert self.bridge.history.unfinished() == 0

    async def _nothing_is_held(self) -> bool:
        """No message of the source or the lane is unsettled; only rabbitmqctl tells of those."""
        listed = await asyncio.to_thread(
            self.node.rabbitmqctl, "list_queues", "messages", "name", "--no-table-headers"
        )
        lines = (line.split("\t", 1) for line in listed.splitlines())
        held = {name for messages, name in lines if messages != "0"}
        return not held & {self.source, self.scene.lane("crm")}

    async def _complete(self) -> bool:
        if len(self.arrived) < len(self.events) or self.bridge.history.unfinished():
            return False
        lane = await self.scene.queues.depth(self.scene.lane("crm"))
        source = await self.scene.queues.depth(self.source)
        return not lane and not source and self._all_succeeded()

    def _all_succeeded(self) -> bool:
        return self.bridge.history.delivered_bodies("crm") == set(self.events)

    def _state(self) -> str:
        statuses = self.bridge.history.statuses("crm")
        columns = ("name", "messages_ready", "messages_unacknowledged", "consumers", "state")
        queues = self.node.rabbitmqctl("list_queues", *columns)
        return f"{len(self.arrived)} arrived, history {statuses}\n{queues}\n{self.bridge.last_words()}"

    @property
    def repeated(self) -> int:
        """How many requests were made more than once for the same event."""
        return self.arrived.total() - len(self.arrived)


async def a_source_with_events(scene: Scene, events: int = len(EVENTS)) -> str:
    """A queue that holds the stream's events, and an endpoint that takes its time over each."""
    source = await scene.queue()
    scene.endpoint.script("/crm", slow(0.05))
    await scene.queues.publish(source, numbered(events))
    return source


def one_source(queue: str) -> list[dict[str, object]]:
    """The configuration of that source."""
    return [{"name": "main", "queue": queue, "prefetch": PREFETCH}]
