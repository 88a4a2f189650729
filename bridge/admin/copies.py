"""Copies of deliveries that were started anew, on their way from the history into their lanes."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence

import structlog

from bridge.admin.look_messages import as_event
from bridge.model.delivery import Delivery, Parked, Record, Status
from bridge.model.errors import BridgeError, PublishTooLarge
from bridge.pipeline.table import HookTable
from bridge.ports.broker import Copies
from bridge.ports.history import History
from bridge.ports.jobs import Outbox, Restart
from bridge.ports.records import KnownEvent
from bridge.telemetry import events

log = structlog.get_logger(__name__)

_AT_ONCE = 64
_MOST_BYTES = 8 * 1024 * 1024
"""Of events that are held at once."""


class CopySender:
    """Publishes what is in the outbox, and takes it out."""

    def __init__(self, outbox: Outbox, history: History, copies: Copies, table: HookTable) -> None:
        self._outbox = outbox
        self._history = history
        self._copies = copies
        self._table = table
        self._under_way: set[tuple[str, int]] = set()

    async def send(self, restarts: Sequence[Restart]) -> int:
        """Publish one copy of each and give how many are through; the others stay in the outbox.

        What is being sent already is left alone. A delivery whose hook is gone becomes FAILED `hook_deleted`. Raises
        HistoryUnavailable.
        """
        mine = [each for each in restarts if (each.delivery_id, each.generation) not in self._under_way]
        keys = {(each.delivery_id, each.generation) for each in mine}
        self._under_way |= keys
        try:
            return sum([await self._send(mine[at : at + _AT_ONCE]) for at in range(0, len(mine), _AT_ONCE)])
        finally:
            self._under_way -= keys

    async def _send(self, restarts: Sequence[Restart]) -> int:
        sizes = await self._outbox.sizes(list({each.event_id for each in restarts}))
        there = [each for each in restarts if each.event_id in sizes]
        sent = 0
        for some in _by_size(there, sizes):
            found = await self._outbox.whole_events([each.event_id for each in some])
            whole = {known.id: known for known in found}
            pairs = [(each, whole[each.event_id]) for each in some if each.event_id in whole]
            fates = await asyncio.gather(*(self._publish(*pair) for pair in pairs))
            ended = [fate for fate in fates if isinstance(fate, Record)]
            if ended:
                await self._history.commit(ended)
            done = [each for (each, _), fate in zip(pairs, fates, strict=True) if fate is not None]
            await self._outbox.sent(done)
            sent += len(done)
        return sent

    async def _publish(self, restart: Restart, known: KnownEvent) -> Record | Parked | None:
        """Parked once it is confirmed, a Record of what cannot be, None where it should be tried again."""
        delivery = _copy(restart, known)
        runner = self._table.get(restart.hook)
        if runner is None:
            return Record(delivery, "", Status.FAILED, "hook_deleted", time.time())
        try:
            await self._copies.park(delivery)
        except PublishTooLarge as error:
            reason = f"cannot wait on the broker: {error}"
            return Record(delivery, runner.hook.target.type, Status.FAILED, reason, time.time())
        except BridgeError as error:
            log.warning(
                "outbox.not_published", hook=restart.hook, error=str(error), effect="it is tried again"
            )
            return None
        except Exception as error:  # noqa: BLE001 - a bug with one delivery must not end the work for all
            events.hook_failed(restart.hook, error)
            return None
        parked = Parked("restarted")
        # The lane belongs to the hook of today, which may have been changed since.
        (self._table.get(restart.hook) or runner).copy_sent(parked, known.received_at)
        runner.metrics.parked[parked.reason].value += 1
        return parked


def _copy(restart: Restart, known: KnownEvent) -> Delivery:
    return Delivery(
        restart.delivery_id,
        as_event(known, None),
        restart.hook,
        generation=restart.generation,
        attempt=restart.attempts + 1,
        restarted_at=time.time(),
    )


def _by_size(restarts: Sequence[Restart], sizes: Mapping[str, int]) -> Iterator[list[Restart]]:
    """In groups of no more bytes than may be held at once, or of one."""
    group: list[Restart] = []
    size = 0
    for each in restarts:
        size += sizes[each.event_id]
        if group and size > _MOST_BYTES:
            yield group
            group, size = [], sizes[each.event_id]
        group.append(each)
    if group:
        yield group
