"""Letting go of what was not started: at an outage and at the end."""

from collections import Counter
from collections.abc import Callable, Collection

from bridge.pipeline.hook import HookRunner
from bridge.pipeline.settle import Settlement, Work
from bridge.pipeline.table import HookTable


def hand_back(
    table: HookTable,
    park: Callable[[HookRunner, Work, str], None] | None,
    reason: str,
    spent: Collection[str] = (),
) -> None:
    """Give every message of a source that waits here back to the broker, where nothing of it was started.

    Of sources that are `spent` by that (each return counts towards the queue's delivery limit) nothing goes back.

    Of a message whose other deliveries are under way or done, the waiting ones are parked; with `park` None
    (the broker takes no copies now) they go on waiting.
    """
    waiting = [(runner, work) for runner in table for work in runner.take_waiting()]
    here: Counter[Settlement] = Counter(work.settlement for _, work in waiting)
    for runner, work in waiting:
        settlement = work.settlement
        untouched = not settlement.started and settlement.open == here[settlement]
        if untouched and settlement.source not in spent:
            settlement.give_back()
        elif settlement.open > 0:
            if park is None:
                runner.direct.append(work)
            else:
                park(runner, work, reason)
