"""Consumers on lanes: a hundred share a channel, or more where the broker allows few channels."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from bridge.broker.consumer import ConsumeChannel
from bridge.broker.link import Link
from bridge.broker.topology import Topology
from bridge.model.errors import BridgeError, BrokerRefused
from bridge.ports.broker import Receive
from bridge.ports.budget import NOTHING, Held

LANES_PER_CHANNEL = 100
_OTHERS = 3
"""Channels that others hold on the connection beside those of sources, which have the other half."""


class ChannelLanes:
    """Spreads lane consumers over supervised channels; see bridge.pipeline.service.LaneConsumers."""

    def __init__(
        self,
        link: Link,
        topology: Topology,
        watch: Callable[[str, bool | None], None],
        lost: Callable[[str], None] = lambda _why: None,
    ) -> None:
        """`watch` and `lost` as with ConsumeChannel."""
        self._lost = lost
        self._link = link
        self._topology = topology
        self._watch = watch
        self._channels: dict[ConsumeChannel, asyncio.Task[None]] = {}

    async def consume(self, hook: str, prefetch: int, receive: Receive) -> None:
        """Consume the hook's lane with this prefetch from now on."""
        self._with_room().subscribe(self._topology.names.lane(hook), prefetch, receive)

    async def leave(self, hook: str) -> None:
        """Stop consuming the lane; tickets given out stay good."""
        lane = self._topology.names.lane(hook)
        for channel in self._channels:
            if lane in channel:
                await channel.unsubscribe(lane)

    async def resize(self, hook: str, prefetch: int) -> None:
        """Consume the lane with this prefetch from now on; what is here of it stays."""
        lane = self._topology.names.lane(hook)
        for channel in self._channels:
            if lane in channel:
                channel.resize(lane, prefetch)

    def held(self, hook: str) -> Held:
        """What is held here of the lane."""
        lane = self._topology.names.lane(hook)
        return next((channel.held(lane) for channel in self._channels if lane in channel), NOTHING)

    async def renew(self, hook: str) -> None:
        """Consume the lane anew, with a fresh tag."""
        lane = self._topology.names.lane(hook)
        for channel in self._channels:
            if lane in channel:
                await channel.renew(lane)

    async def depths(self, hooks: Sequence[str]) -> dict[str, int]:
        """Messages ready in the lanes of those of these hooks that have one."""
        names = {self._topology.names.lane(hook): hook for hook in hooks}
        return {names[lane]: depth for lane, depth in (await self._topology.depths(list(names))).items()}

    def up(self, hook: str) -> bool:
        """The broker knows our consumer on this lane."""
        lane = self._topology.names.lane(hook)
        return any(channel.up(lane) for channel in self._channels)

    async def flush(self) -> None:
        """Send the acks that are due."""
        for channel in self._channels:
            await channel.flush()

    async def close(self) -> None:
        """Flush and close all channels."""
        for channel, task in self._channels.items():
            await channel.close()
            task.cancel()
        await asyncio.gather(*self._channels.values(), return_exceptions=True)

    def _with_room(self) -> ConsumeChannel:
        for channel in self._channels:
            if len(channel) < LANES_PER_CHANNEL:
                return channel
        # With fewer places than lanes some more share one. What is left is for sources, strays and replicas.
        if self._channels and len(self._channels) >= self._link.fair_share - _OTHERS:
            return min(self._channels, key=len)
        channel = ConsumeChannel(self._link, self._prepare, self._watch, self._lost, holds="lanes")
        self._channels[channel] = asyncio.create_task(channel.run(), name="lanes")
        return channel

    async def _prepare(self, lane: str) -> bool:
        """A lane that was deleted under us is made anew: retries on the ladder will come back to it."""
        hook = lane.removeprefix(self._topology.names.lane(""))
        try:
            # Waits for one that is being made: 3.10 answers a consumer on a quorum queue that has no leader
            # yet by closing the whole connection (541 INTERNAL_ERROR). One that we may not make may be there.
            with contextlib.suppress(BrokerRefused):
                await self._topology.ensure_lane(hook)
            if await self._topology.depth(lane) is None:
                await self._topology.ensure_lane(hook, anew=True)
        except BridgeError:
            return False
        return True
