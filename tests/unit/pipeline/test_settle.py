"""Settling: a message is finished once, after the last of its deliveries, and never before."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.pipeline.settlement import InFlight, Settlement
from tests.support.tickets import CountingTicket


@given(st.integers(1, 50))
def test_the_message_is_finished_with_its_last_delivery_and_not_before(deliveries):
    ticket, load = CountingTicket(), InFlight()
    settlement = Settlement(ticket, "s", load)
    settlement.hand_out(deliveries)

    for done in range(deliveries):
        assert ticket.finished == 0
        assert load.open == deliveries - done
        settlement.fate_committed()
    assert ticket.finished == 1
    assert load.open == 0


def test_a_message_with_one_delivery_given_up_stays_with_the_broker():
    ticket, load = CountingTicket(), InFlight()
    settlement = Settlement(ticket, "s", load)
    settlement.hand_out(3)

    settlement.fate_committed()
    settlement.drop_one()
    settlement.fate_committed()

    assert load.open == 0
    assert ticket.finished == 0


def test_what_is_given_back_counts_no_longer():
    ticket, load = CountingTicket(), InFlight()
    settlement = Settlement(ticket, "s", load)
    settlement.hand_out(4)
    settlement.give_back()

    assert (load.open, ticket.given_back, ticket.finished) == (0, 1, 0)
