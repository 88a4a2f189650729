"""Orphans that nobody knows are held for long: neither their memory nor their bodies may be."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge.core.event import Message, Undecodable
from bridge.core.ports import AckHandle
from bridge.formats.registry import content_of
from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.orphans import OrphanedCopies, RateLimitedLog
from bridge.pipeline.reading import UnverifiedCopies
from bridge.pipeline.settlement import InFlight, SettledCallback
from bridge.wire.copies import PREFIX
from tests.support.tickets import CountingTicket


class Reads:
    """Copies that hold no delivery."""

    def read_without_data(self, _message: Message) -> Undecodable:
        return Undecodable("not_a_copy", "")


def strays() -> OrphanedCopies:
    nobody: Any = None
    reader: Any = Reads()
    return OrphanedCopies(
        HookTable(lambda _event, _unanswered: None),
        nobody,
        InFlight(),
        deleted=nobody,
        fence=nobody,
        quarantine=nobody,
        reader=reader,
        unverified=nobody,
    )


def test_unknown_orphans_count_in_no_budget_and_of_large_ones_the_bodies_are_let_go_of():
    found = strays()
    tickets = [CountingTicket() for _ in range(5)]
    for ticket in tickets:
        ticket.grow(2_000_000)
        found.orphan(Message(bytes(2_000_000)), ticket)
    assert found.unknown == 5
    assert [ticket.byte_count for ticket in tickets] == [0] * 5
    found.bring_known_home()
    assert [ticket.given_back for ticket in tickets] == [0, 0, 1, 1, 1]
    assert found.unknown == 2


@pytest.mark.parametrize(
    ("headers", "event"), [({}, "orphan.unknown"), ({"x-death": [{"reason": "expired"}]}, "copy.expired")]
)
def test_many_copies_of_a_hook_make_one_line_in_the_log(headers, event):
    found = strays()
    take = found.dead if headers else found.orphan
    with capture_logs() as lines:
        for hook in ("a", "b") * 100:
            take(Message(b"{}", routing_key=hook, headers=headers), CountingTicket())
    assert [line["hook"] for line in lines if line["event"] == event] == ["a", "b"]


def test_what_was_not_told_is_counted_in_the_next_line():
    now = 0.0
    seldom = RateLimitedLog(lambda: now)
    assert [seldom.due("a"), seldom.due("a"), seldom.due("b"), seldom.due("a")] == [1, 0, 1, 0]
    now = 60.0
    assert [seldom.due("a"), seldom.due("a")] == [3, 0]


async def test_a_copy_that_cannot_be_looked_up_for_a_bug_ends_nothing_but_itself():
    ended: list[str] = []

    def refuse(
        why: Undecodable, _message: Message, _ticket: AckHandle, _over: SettledCallback | None
    ) -> None:
        ended.append(why.reason)

    history: Any = None  # which has no deliveries to look for
    unverified = UnverifiedCopies(history, content_of, refuse, history)
    copy = Message(b"{}", headers={PREFIX + "delivery": "d"})
    unverified.take(copy, CountingTicket(), None, lambda _delivery, _ticket, _over: None)
    await unverified._next()
    assert ended == ["bug"]
