"""Where to go on in streams."""

from typing import Protocol

from bridge.model.delivery import Reached


class StreamPlaces(Protocol):
    """How far each stream has been read. All raise HistoryUnavailable."""

    async def stored(self, queue: str) -> Reached | None:
        """Where to go on; None: it was never read."""
        ...

    async def store(self, reached: Reached) -> None:
        """Write down where to go on, apart from any delivery."""
        ...
