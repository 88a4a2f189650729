"""What comes in over HTTP and goes to a source: the inlets, and the publisher that they and the API share."""

from collections.abc import Awaitable, Callable

from bridge.broker.link import Link
from bridge.broker.prompt import PromptPublisher
from bridge.broker.publisher import ConfirmedPublisher
from bridge.http.inlet_body import Room
from bridge.http.inlets import Inlets
from bridge.settings.tree import Settings
from bridge.telemetry.metrics import Metrics


class Reception:
    """On channels of its own: what harms the channel that copies go through must not harm senders."""

    def __init__(
        self,
        settings: Settings,
        link: Link,
        publisher: Callable[[Link], ConfirmedPublisher],
        prepare: Callable[[str], Awaitable[bool]],
        *,
        metrics: Metrics,
        new_id: Callable[[], str],
    ) -> None:
        """`prepare` makes a source's queue where it is missing."""
        self._publishers = (publisher(link), ConfirmedPublisher(link))
        self.prompt = PromptPublisher(link, *self._publishers, prepare=prepare)
        self.inlets = Inlets(
            settings.inlets,
            settings.sources,
            self.prompt,
            metrics=metrics,
            new_id=new_id,
            most_body=settings.limits.body,
            room=Room(link.budget),
        )

    async def close(self) -> None:
        """Close the channels; the inlets were closed before."""
        for publisher in self._publishers:
            await publisher.close()
