"""A start that waits for what is not there yet, or goes at this very moment."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from bridge.model.errors import BrokerUnavailable, HistoryUnavailable
from bridge.ports.backoff import Backoff
from bridge.telemetry import events

log = structlog.get_logger(__name__)

T = TypeVar("T")

_STARTING_LOSSES = 10
_LOST_WAIT = 0.5


async def there(what: str, until: float, step: Callable[[], Awaitable[T]]) -> T:
    """Do what needs something that may not be there yet, again and again until that (monotonic) time."""
    backoff = Backoff(0.5)
    while True:
        try:
            return await step()
        except (BrokerUnavailable, HistoryUnavailable) as error:
            left = until - time.monotonic()
            if left <= 0:
                raise
            events.waiting_for(what, str(error), left)
        await backoff.pause()


async def despite_losses(step: Callable[[], Awaitable[T]]) -> T:
    """Have it done on the broker. A node that goes at this very moment does not end the start: the links go on to the next."""
    for _ in range(_STARTING_LOSSES):
        try:
            return await step()
        except BrokerUnavailable as error:
            log.warning("start.connection_lost", error=str(error))
            await asyncio.sleep(_LOST_WAIT)
    return await step()
