"""Sources as documents: what is configured, and what the broker and this process say of them now."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, Protocol, cast

from bridge.model.documents import SourceDocument
from bridge.model.errors import BridgeError
from bridge.model.source import Source

_PATIENCE = 2.0
"""Seconds that the broker gets to count."""

Counts = Callable[[Sequence[str]], Awaitable[Mapping[str, tuple[int, int]]]]
"""Messages ready and consumers of each of these queues that is there; raises a BridgeError."""
State = Literal["consuming", "connecting", "standing_by", "left"]


class Consumed(Protocol):
    """What this process does with its sources."""

    def state(self) -> Mapping[str, str]:
        """By source name: consuming, connecting, or left."""
        ...

    def held(self) -> Mapping[str, tuple[int, int]]:
        """Messages held and prefetch, by source name."""
        ...


async def source_documents(
    sources: Sequence[Source], consumed: Consumed, counts: Counts
) -> list[SourceDocument]:
    """These sources now; what the broker does not tell within two seconds stays out."""
    counted = await _counted([source.queue for source in sources], counts)
    states, held = consumed.state(), consumed.held()
    return [
        _document(source, states[source.name], held[source.name][0], counted.get(source.queue))
        for source in sources
    ]


async def _counted(queues: Sequence[str], counts: Counts) -> Mapping[str, tuple[int, int]]:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await counts(queues)
    except (BridgeError, TimeoutError):
        return {}


def _document(source: Source, state: str, held: int, counted: tuple[int, int] | None) -> SourceDocument:
    depth, consumers = counted or (None, None)
    return SourceDocument.model_construct(
        name=source.name,
        queue=source.queue,
        format=source.format,
        state=cast("State", state),
        depth=depth,
        consumers=consumers,
        held=held,
        prefetch=source.prefetch,
    )
