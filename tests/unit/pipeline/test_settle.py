"""Settling: a message is finished once, after the last of its deliveries, and never before."""

import asyncio
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.pipeline.settlement import InFlight, Settlement, awaited, contained
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
    settlement.requeue()

    assert (load.open, ticket.given_back, ticket.finished) == (0, 1, 0)


def test_a_message_of_which_nothing_remains_is_finished_when_its_shares_are_handed_out():
    ticket, load = CountingTicket(), InFlight()
    Settlement(ticket, "s", load).hand_out(0)

    assert (load.open, ticket.finished) == (0, 1)


def _no_at_all(_what: str) -> str:
    raise KeyError("a bug")


async def _no(_what: str) -> str:
    raise KeyError("a bug")


async def _cancelled(_what: str) -> str:
    raise asyncio.CancelledError


async def test_a_bug_is_passed_to_whoever_decides_what_becomes_of_the_message():
    def failed(what: str, error: Exception) -> str:
        return f"{what}: {error!r}"

    assert contained(_no_at_all, failed, "sync") == "sync: KeyError('a bug')"
    assert contained(str.upper, failed, "fine") == "FINE"
    assert await awaited(_no, failed, "async") == "async: KeyError('a bug')"


async def test_a_cancellation_passes_the_boundary():
    with pytest.raises(asyncio.CancelledError):
        await awaited(_cancelled, lambda what, _error: what, "it")


def test_the_pipeline_catches_unexpected_errors_at_its_boundary_alone():
    pipeline = Path(__file__).parents[3] / "bridge" / "pipeline"
    caught = re.compile(r"except (Base)?Exception|except:")

    assert [path.name for path in pipeline.glob("*.py") if caught.search(path.read_text())] == [
        "settlement.py"
    ]
