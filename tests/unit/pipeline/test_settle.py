"""Settling: a message is finished once, after the last of its deliveries, and never before."""

import asyncio
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.pipeline.settlement import Boundary, InFlight, Settlement
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


def test_a_message_of_which_nothing_remains_is_finished_when_its_shares_are_handed_out():
    ticket, load = CountingTicket(), InFlight()
    Settlement(ticket, "s", load).hand_out(0)

    assert (load.open, ticket.finished) == (0, 1)


def test_a_boundary_catches_a_bug_and_passes_it_on_to_whoever_decides():
    found: list[Exception] = []
    with Boundary(found.append) as bug:
        raise KeyError("a bug")

    assert found == [bug.error]
    assert isinstance(bug.error, KeyError)


def test_a_boundary_lets_a_cancellation_pass():
    found: list[Exception] = []
    with pytest.raises(asyncio.CancelledError), Boundary(found.append):
        raise asyncio.CancelledError

    assert found == []


def test_the_pipeline_catches_unexpected_errors_at_its_boundary_alone():
    pipeline = Path(__file__).parents[3] / "bridge" / "pipeline"
    caught = re.compile(r"except (Base)?Exception|except:")

    assert [path.name for path in pipeline.glob("*.py") if caught.search(path.read_text())] == []
