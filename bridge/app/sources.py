"""All sources of a process: consumed together, left together."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from bridge.app.consumption import Consumption
from bridge.app.prefetch import BY_MEMORY
from bridge.broker.consumer import ConsumeChannel
from bridge.model.source import OWN_EVENTS
from bridge.pipeline.intake import Intake
from bridge.ports.budget import Budget
from bridge.rules.retry.holding import fitting_prefetch

log = structlog.get_logger(__name__)


_FIRST = 32
"""Messages that a source may hand out before it is known how large they are.

Whatever is held when a consumer is renewed counts beside what the next one may hold. So a source that wants few more than
these gets all at once: it would hold half as many again as it may.
"""
_FEW = 2 * _FIRST
_SHARE = 0.375
"""Of the memory, for the messages of all sources together."""


_LITTLE = 4
"""After a stop that was none, one of so many parts of the memory is used at first."""


class Sources:
    """One supervised channel and one intake for each source."""

    def __init__(
        self, pairs: Sequence[tuple[Intake, ConsumeChannel]], consumption: Consumption, budget: Budget
    ) -> None:
        self._pairs = list(pairs)
        self._consumption = consumption
        self._prefetch = consumption.prefetch
        self._budget = budget
        self._fit: dict[str, int] = {}
        for intake, _ in self._pairs:
            if intake.source.prefetch > _FEW:
                self._prefetch.bound(intake.source.name, BY_MEMORY, _FIRST)
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

        So it is also where the caller waits no longer for the broker, whose answer nobody reads while memory is short.
        """
        self.consuming = False
        try:
            await asyncio.gather(
                *(channel.unsubscribe(intake.source.queue) for intake, channel in self._pairs)
            )
        finally:
            self._let_go(for_good=for_good)

    def _let_go(self, *, for_good: bool) -> None:
        for intake, _ in self._pairs:
            if for_good:
                intake.leave()
            elif not intake.returns.spent_by_nacks:
                intake.give_back()

    @property
    def spent(self) -> frozenset[str]:
        """Names of sources whose messages come nearer to their last return with each one."""
        return frozenset(intake.source.name for intake, _ in self._pairs if intake.returns.spent_by_nacks)

    def start_small(self) -> None:
        """The last stop was not in order: what comes may be what ended it, and memory may have been the reason."""
        self._budget.limit_to(self._budget.whole // _LITTLE)
        self._consumption.streams.unclean = True
        for intake, _ in self._pairs:
            if intake.source.name != OWN_EVENTS:
                self._prefetch.start_small(intake.source.name)

    def pump(self) -> None:
        """Go on with messages that were kept back, where there is room again."""
        for intake, _ in self._pairs:
            intake.pump()

    def held(self) -> Mapping[str, tuple[int, int]]:
        """Messages held, and how many may be, by source name."""
        return {
            source.name: (channel.open, min(source.prefetch, self._fit.get(source.name, source.prefetch)))
            for source, channel in ((intake.source, channel) for intake, channel in self._pairs)
        }

    def fit(self) -> None:
        """Have each source hand out as many messages at once as there is memory for."""
        known = [(intake.source, channel.held(intake.source.queue)) for intake, channel in self._pairs]
        busy = [each for each in known if each[1].messages]
        for source, held in busy:
            if source.queue in self._consumption.streams:
                continue  # a new consumer would read anew what is under way
            share = self._budget.share(_SHARE / len(busy))
            fit = fitting_prefetch(*held, share=share, most=source.prefetch)
            if fit != held.prefetch:
                self._fit[source.name] = fit
                self._prefetch.bound(source.name, BY_MEMORY, fit)

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
