"""All sources of a process: consumed together, left together."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from bridge.app.consumption import Consumption
from bridge.broker.consumer import ConsumeChannel
from bridge.model.source import OWN_EVENTS
from bridge.pipeline.intake import Intake

log = structlog.get_logger(__name__)


class Sources:
    """One supervised channel and one intake for each source."""

    def __init__(self, pairs: Sequence[tuple[Intake, ConsumeChannel]], consumption: Consumption) -> None:
        self._pairs = list(pairs)
        self._consumption = consumption
        self._prefetch = consumption.prefetch
        self._tasks: list[asyncio.Task[None]] = []
        self.consuming = False

    def start(self) -> None:
        """Consume all sources from now on."""
        self._tasks = [asyncio.create_task(channel.run(), name="source") for _, channel in self._pairs]
        self.resume()

    def resume(self) -> None:
        """Consume again after `leave`."""
        self.consuming = True
        for intake, channel in self._pairs:
            channel.subscribe(intake.source.queue, self._prefetch.of(intake.source.name), intake.receive)

    async def leave(self, *, for_good: bool = False) -> None:
        """Stop consuming; what is under way stays ours. What was not decoded goes back to the broker, unless each return
        counts towards the queue's delivery limit: then it stays here, or is parked where this is `for_good`.
        """
        self.consuming = False
        for intake, channel in self._pairs:
            await channel.unsubscribe(intake.source.queue)
            if for_good:
                intake.leave()
            elif not intake.returns.spent_by_nacks:
                intake.give_back()

    @property
    def spent(self) -> frozenset[str]:
        """Names of sources whose messages come nearer to their last return with each one."""
        return frozenset(intake.source.name for intake, _ in self._pairs if intake.returns.spent_by_nacks)

    def start_small(self) -> None:
        """The last stop was not in order: what comes may be what ended it."""
        self._consumption.streams.unclean = True
        for intake, _ in self._pairs:
            if intake.source.name != OWN_EVENTS:
                self._prefetch.start_small(intake.source.name)

    def pump(self) -> None:
        """Go on with messages that were kept back, where there is room again."""
        for intake, _ in self._pairs:
            intake.pump()

    def held(self) -> Mapping[str, tuple[int, int]]:
        """Messages held and prefetch, by source name."""
        return {intake.source.name: (channel.open, intake.source.prefetch) for intake, channel in self._pairs}

    def idle(self) -> Mapping[str, float]:
        """How many messages ever came, by queue of each source that is consumed and of which nothing is held."""
        return {
            intake.source.queue: intake.received
            for intake, channel in self._pairs
            if channel.up(intake.source.queue) and not channel.open and intake.stream is None
        }

    async def renew(self, queue: str) -> None:
        """Consume the source's queue anew, with a fresh tag."""
        for intake, channel in self._pairs:
            if intake.source.queue == queue:
                await channel.renew(queue)

    def state(self) -> dict[str, str]:
        """By name of each source that was set up: consuming, standing_by (another replica reads the stream), connecting, or left."""
        return {
            intake.source.name: self._state(intake.source.queue, channel)
            for intake, channel in self._pairs
            if intake.source.name != OWN_EVENTS
        }

    def _state(self, queue: str, channel: ConsumeChannel) -> str:
        if not self.consuming:
            return "left"
        if channel.up(queue):
            return "consuming"
        return "standing_by" if self._consumption.streams.standing_by(queue) else "connecting"

    async def flush(self) -> None:
        """Send the acks that are due."""
        for _, channel in self._pairs:
            await channel.flush()

    async def close(self) -> None:
        """Flush, see the acks arrive, and close; also where `start` never came."""
        for _, channel in self._pairs:
            await channel.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
