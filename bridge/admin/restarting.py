"""Starting one delivery anew, and giving one up."""

import time
from collections.abc import Callable, Sequence

from bridge.model.delivery import Status
from bridge.model.errors import BridgeError
from bridge.pipeline.table import HookTable
from bridge.ports.control import Control
from bridge.ports.jobs import Outbox, Restart
from bridge.ports.records import KnownAttempt, KnownDelivery, Records

Found = tuple[KnownDelivery, Sequence[KnownAttempt]]


class Unknown(BridgeError):
    """There is no such delivery."""


class NotNow(BridgeError):
    """It cannot be done as things are; the text says why."""


class Restarting:
    """What a person does with a delivery."""

    def __init__(
        self,
        records: Records,
        outbox: Outbox,
        table: HookTable,
        *,
        publish: Callable[[Sequence[Restart]], None],
        control: Control,
        cancelled: Callable[[KnownDelivery], None] = lambda _delivery: None,
    ) -> None:
        """`publish` has copies of what was started anew published soon; `cancelled` hears of what was given up."""
        self._records = records
        self._outbox = outbox
        self._table = table
        self._publish = publish
        self._control = control
        self._cancelled = cancelled

    async def retry(self, delivery_id: str) -> Found:
        """Start the delivery anew, whatever its status, and give it as it stands before its first attempt.

        The automatic retry that may be scheduled is overtaken. Raises Unknown, NotNow, HistoryUnavailable.
        """
        known = await self._known(delivery_id)
        self._check_hook(known.hook)
        restarts = await self._outbox.restart([known.id], time.time(), statuses=frozenset(Status))
        if not restarts:
            raise NotNow("its event is not in the history any more, so there is nothing left to deliver")
        found = await self._found(delivery_id)
        self._publish(restarts)
        await self._control.tell("jobs", known.id)
        return found

    async def cancel(self, delivery_id: str) -> Found:
        """Give the delivery up: FAILED `cancelled`; its copies are dropped when they come.

        An attempt that is under way goes on, and what it comes to is only shown among the attempts. Raises Unknown,
        NotNow where it is final, HistoryUnavailable.
        """
        known = await self._known(delivery_id)
        if not await self._outbox.cancel(known.id, time.time()):
            known = await self._known(delivery_id)
            raise NotNow(f"it is final ({known.status}), so there is nothing left to cancel")
        self._cancelled(known)
        await self._control.tell("jobs", known.id)
        return await self._found(delivery_id)

    def _check_hook(self, hook: str) -> None:
        runner = self._table.get(hook)
        if runner is None:
            raise NotNow(f"hook {hook!r} is gone")
        if not runner.hook.enabled:
            raise NotNow(f"hook {hook!r} is disabled; enable it first")

    async def _known(self, delivery_id: str) -> KnownDelivery:
        return (await self._found(delivery_id))[0]

    async def _found(self, delivery_id: str) -> Found:
        found = await self._records.delivery(delivery_id)
        if found is None:
            raise Unknown("there is no such delivery")
        return found
