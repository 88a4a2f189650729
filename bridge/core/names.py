"""What the history knows of names and ids that people give."""

from collections.abc import Sequence
from typing import Literal, Protocol

IdOf = Literal["event", "delivery", "quarantine", "replay"]


class KnownNames(Protocol):
    """All raise HistoryUnavailable."""

    async def has_hook(self, hook: str) -> bool:
        """Whether there is a delivery of the hook with this id."""
        ...

    async def has_source(self, source: str) -> bool:
        """Whether anything came from it."""
        ...

    async def has_event_type(self, kind: str) -> bool:
        """Whether there is an event of this type."""
        ...

    async def event_types(self) -> Sequence[str]:
        """Types that events have, very many at the most."""
        ...

    async def ids_beginning(self, kind: IdOf, beginning: str, most: int) -> Sequence[str]:
        """At most so many ids of that kind that begin so, written as ids are."""
        ...
