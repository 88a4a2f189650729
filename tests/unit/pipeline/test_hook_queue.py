"""What waits for a hook: each delivery is in one place, and the lane's depth counts what is not here."""

import re
import time
from pathlib import Path

from bridge.core.delivery import Delivery
from bridge.core.event import Event, Message
from bridge.pipeline.hook_queue import HookQueue
from bridge.pipeline.settlement import InFlight, Settlement, Work
from tests.support.tickets import CountingTicket
from tests.support.waiting import until

BRIDGE = Path(__file__).parents[3] / "bridge"


def work(name: str, *, from_lane: bool = False, received_at: float = 0.0) -> Work:
    event = Event(name, "s", "t", "json", received_at or time.time(), Message(b"{}"))
    return Work(
        Delivery(name, event, "crm"), Settlement(CountingTicket(), "s", InFlight()), from_lane=from_lane
    )


def test_copies_and_direct_deliveries_take_turns():
    queue = HookQueue()
    for each in (work("d1"), work("d2"), work("c1", from_lane=True), work("c2", from_lane=True)):
        queue.add(each)
    taken = [queue.next() for _ in range(5)]
    assert [each.delivery.id if each else None for each in taken] == ["c1", "d1", "c2", "d2", None]


def test_diverted_deliveries_no_longer_wait_and_the_lane_is_used_from_then_on():
    queue = HookQueue()
    late, early = work("late", received_at=5.0), work("early", received_at=1.0)
    queue.add(early)
    queue.add(late)
    assert queue.received_before(1.0) == []
    queue.divert(queue.received_before(5.0), "slots")
    assert (queue.direct, queue.lane.reason) == ((late,), "slots")


def test_a_copy_that_is_checked_once_more_counts_as_one_in_the_lane():
    queue = HookQueue()
    first, second = work("a", from_lane=True), work("b", from_lane=True)
    queue.lane_found(2, 1.0)
    for each in (first, second):
        queue.copy_received()
        queue.add(each)
    assert queue.take_copies_of({"a", "other"}) == [first]
    assert (queue.lane.depth, len(queue)) == (1, 1)


async def test_a_copy_that_came_early_is_passed_on_when_it_is_due_unless_it_was_taken_out():
    queue, due = HookQueue(), list[Work]()
    stays, goes = work("stays", from_lane=True), work("goes", from_lane=True)
    queue.keep_until_due(goes, 0.001, due.append)
    assert queue.take_copies() == [goes]
    queue.keep_until_due(stays, 0.002, due.append)
    assert queue.holds_copies
    await until(lambda: due == [stays])
    assert (queue.holds_copies, queue.lane.depth) == (False, 1)


def test_a_parking_that_ends_is_counted_for_the_lane_whoever_has_it_by_then():
    former, present = HookQueue(), HookQueue()
    ended = former.parking_started()
    present.take_over_lane(former)
    assert not present.lane_is_empty
    ended()
    assert present.lane_is_empty
    assert former.lane.parking == 0


def test_nobody_but_the_queue_writes_what_is_known_of_a_lane():
    writes = re.compile(r"\blane\.(exists|depth|parking|reason|oldest)\s*[-+]?=[^=]")
    found = [
        path.name
        for path in BRIDGE.rglob("*.py")
        if path.name != "hook_queue.py" and writes.search(path.read_text())
    ]
    assert found == []
