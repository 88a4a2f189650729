"""Delivery limits that policies set on sources: only the management API tells them."""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from bridge.admin.doctor_policies import in_force, limit_of
from bridge.app.consumption import Consumption
from bridge.model.errors import SettingsError
from bridge.ports.survey import FoundPolicies

log = structlog.get_logger(__name__)

_EVERY = 300.0
"""Seconds: policies change, and queues are made."""


class PolicyLimits:
    """Asks now and then, and says what was found."""

    def __init__(self, look: Callable[[], FoundPolicies], consumption: Consumption) -> None:
        """`look` may take seconds, and runs in a thread."""
        self._look = look
        self._consumption = consumption
        self._told = ""
        self._looked = asyncio.Event()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_EVERY)

    async def known(self, patience: float) -> None:
        """Return once they are known, or were not within so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._looked.wait()

    async def look(self) -> None:
        """Once."""
        try:
            found = await asyncio.to_thread(self._look)
        except SettingsError as error:
            found = FoundPolicies(failure=str(error))
        if found.failure and found.failure != self._told:
            log.warning(
                "source.limits_not_seen", error=found.failure, effect="limits by policy are not known"
            )
        self._told = found.failure
        if not found.failure:
            self._tell(found)
        self._looked.set()

    def _tell(self, found: FoundPolicies) -> None:
        """What was known before stays known while nobody tells anything: messages come back just when a broker goes."""
        version = ".".join(map(str, self._consumption.queues.release))
        limits = {
            queue.name: limit_of(queue, in_force(queue.name, found.policies), version)
            for queue in found.queues
        }
        self._consumption.limited({queue: limit for queue, limit in limits.items() if limit is not None})
