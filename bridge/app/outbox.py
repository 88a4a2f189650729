"""Publishes what is in the outbox: at once what was just put in here, and by and by what a crash left there."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Sequence

import structlog

from bridge.admin.copies import CopySender
from bridge.model.errors import HistoryUnavailable
from bridge.ports.control import Control
from bridge.ports.jobs import Leases, Outbox, Restart

log = structlog.get_logger(__name__)

LEASE = "outbox"
_LEFT_FOR = 10.0
"""Seconds after which whoever put it in has had the time to publish it, or is gone."""
_EVERY = 3.0
_LEASE_SECONDS = 60.0
_AT_ONCE = 500


class OutboxTask:
    """One for each process; what was left is done by one of them at a time."""

    def __init__(
        self,
        sender: CopySender,
        outbox: Outbox,
        leases: Leases,
        control: Control,
        *,
        replica: str,
        overtaken: Callable[[Collection[str]], None],
        left_for: float = _LEFT_FOR,
        every: float = _EVERY,
    ) -> None:
        """`overtaken` hears the ids of deliveries whose copies in this process are out of date.

        `left_for`: seconds that something must have been in the outbox to count as left there; `every`: seconds
        between two looks.
        """
        self._sender = sender
        self._outbox = outbox
        self._leases = leases
        self._replica = replica
        self._overtaken = overtaken
        self._left_for = left_for
        self._every = every
        self._fresh: list[Restart] = []
        self._wanted = asyncio.Event()
        control.listen("jobs", self._heard)

    def soon(self, restarts: Sequence[Restart]) -> None:
        """Publish these next; they are in the outbox."""
        self._fresh += restarts
        self._wanted.set()

    async def run(self) -> None:
        """Publish until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._publish_fresh(), name="outbox: fresh")
            tasks.create_task(self._publish_left(), name="outbox: left")

    def _heard(self, about: str) -> None:
        if about:
            self._overtaken({about})

    async def _publish_fresh(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            restarts, self._fresh = self._fresh, []
            await self._send(restarts)

    async def _publish_left(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(self._every)

    async def _look(self) -> None:
        """Hold the lease only while there is something to do: most of the time there is not."""
        try:
            while left := await self._outbox.outbox(time.time() - self._left_for, _AT_ONCE):
                if not await self._leases.lease(LEASE, self._replica, _LEASE_SECONDS):
                    return
                sent = await self._sender.send(left)
                log.info("outbox.left", found=len(left), published=sent)
                if sent < len(left):
                    break  # the broker does not take them now
            else:
                return
            await self._leases.release(LEASE, self._replica)
        except HistoryUnavailable as error:
            log.warning("outbox.not_read", error=str(error))

    async def _send(self, restarts: Sequence[Restart]) -> None:
        """What cannot be published now is what was left, before long."""
        with contextlib.suppress(HistoryUnavailable):
            await self._sender.send(restarts)
