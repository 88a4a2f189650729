"""Orphans that nobody knows are held for long: neither their memory nor their bodies may be."""

from typing import Any

from bridge.model.event import Message, Undecodable
from bridge.pipeline.authenticity import UnverifiedCopies
from bridge.pipeline.settle import Load, Over
from bridge.pipeline.strays import Strays
from bridge.pipeline.table import HookTable
from bridge.ports.broker import Ticket
from bridge.rules.formats.content import content_of
from bridge.rules.wire.copies import PREFIX
from tests.support.tickets import CountingTicket


class Reads:
    """Copies that hold no delivery."""

    def read_without_data(self, _message: Message) -> Undecodable:
        return Undecodable("not_a_copy", "")


def strays() -> Strays:
    nobody: Any = None
    reader: Any = Reads()
    return Strays(
        HookTable(lambda _event, _unanswered: None),
        nobody,
        nobody,
        Load(),
        deleted=nobody,
        fence=nobody,
        watch=nobody,
        new_id=lambda: "",
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
    assert [ticket.octets for ticket in tickets] == [0] * 5
    found.bring_known_home()
    assert [ticket.given_back for ticket in tickets] == [0, 0, 1, 1, 1]
    assert found.unknown == 2


async def test_a_copy_that_cannot_be_looked_up_for_a_bug_ends_nothing_but_itself():
    ended: list[str] = []

    def refuse(why: Undecodable, _message: Message, _ticket: Ticket, _over: Over | None) -> None:
        ended.append(why.reason)

    history: Any = None  # which has no deliveries to look for
    unverified = UnverifiedCopies(history, content_of, refuse)
    copy = Message(b"{}", headers={PREFIX + "delivery": "d"})
    unverified.take(copy, CountingTicket(), None, lambda _delivery, _ticket, _over: None)
    await unverified._next()
    assert ended == ["bug"]
