"""Telling those who listen to the bridge's own events, and what was told already."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from bridge.model.hook import Hook
from bridge.rules.meta.standing import Standing
from bridge.rules.meta.words import Facts, MetaType


class Herald(Protocol):
    """Publishes meta events to the hooks that listen to them (source `bridge`)."""

    def tell(self, kind: MetaType, about: Hook, facts: Facts, *, by_person: bool) -> None:
        """Publish it soon, where anybody listens; never raises and never waits.

        What nobody did, but came of deliveries, is not told of hooks that listen to meta events themselves: it may
        have come of those.
        """
        ...


class Standings(Protocol):
    """How hooks fare and what was told of it, for all replicas. All raise HistoryUnavailable."""

    async def standings(self) -> Sequence[Standing]:
        """Of all hooks that fail now, or that were told to fail."""
        ...

    async def told(self, before: Standing, level: int, since: float | None) -> bool:
        """Remember the level told of a time since then (0: none); False where it has changed since `before`."""
        ...

    async def quarantined(self, since: float) -> Mapping[str, int]:
        """How many messages went into quarantine since that Unix time, by source; sources with none are absent."""
        ...
