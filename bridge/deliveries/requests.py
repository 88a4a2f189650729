"""What a delivery would send if it were attempted now."""

import asyncio

from bridge.core.delivery import Answer, Delivery
from bridge.core.ports import Preview
from bridge.deliveries.documents import RequestDocument
from bridge.deliveries.service import NotNow, Unknown
from bridge.events.documents import as_event
from bridge.formats.parse import Bounds
from bridge.history.history import SqlHistory
from bridge.pipeline.hook_table import HookTable


class Requests:
    """Builds requests by today's hooks, and sends nothing."""

    def __init__(self, records: SqlHistory, table: HookTable, bounds: Bounds) -> None:
        """`bounds`: what is parsed of the bodies of events."""
        self._records = records
        self._table = table
        self._bounds = bounds

    async def of(self, delivery_id: str) -> RequestDocument:
        """The request of this delivery, compared with what its latest attempt sent.

        Raises Unknown; NotNow, which says why, where it cannot be built; HistoryUnavailable.
        """
        found = await self._records.delivery(delivery_id)
        if found is None:
            raise Unknown
        known, attempts = found
        runner = self._table.get(known.hook)
        if runner is None:
            raise NotNow(f"hook {known.hook} is gone: nobody knows what it would send")
        if runner.target is None:
            raise NotNow(
                f"this process does not serve the target of hook {runner.hook.name}; ask another one"
            )
        event = await self._records.event(known.event_id)
        if event is None:
            raise NotNow("its event is no longer in the history")
        number = known.attempts + 1
        whole, target = event[0], runner.target

        def built() -> Preview | Answer:
            delivery = Delivery(known.id, as_event(whole, self._bounds), known.hook, known.generation, number)
            return target.preview(delivery)

        preview = await asyncio.to_thread(built)
        if isinstance(preview, Answer):
            raise NotNow(f"the body cannot be built: {preview.error}")
        return RequestDocument.compared(preview, attempts)
