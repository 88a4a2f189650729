"""Reading a stream: what is done, what is let through, what comes again, and where to go on."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.delivery import Reached
from bridge.core.event import Message, Source
from bridge.core.ports import AckHandle
from bridge.pipeline.stream import OFFSET, StreamReader, StreamTicket, beginning
from tests.support.tickets import CountingTicket


class Reading:
    """A reader, and what it lets through."""

    def __init__(self, stored: Reached | None = None, *, offset: object = "first", at_risk: int = 0) -> None:
        self.source = Source.model_validate({"name": "main", "queue": "orders", "stream": {"offset": offset}})
        self.nudges = 0
        self.reader = StreamReader(self.source, self._nudged)
        self.begun: dict[int, tuple[Message, StreamTicket]] = {}
        self.tickets: dict[int, list[CountingTicket]] = {}
        self.reader.begin(stored, at_risk)

    def _nudged(self) -> None:
        self.nudges += 1

    def come(self, *offsets: int, stream: str = "") -> None:
        """These messages come from the broker."""
        for offset in offsets:
            ticket = CountingTicket()
            self.tickets.setdefault(offset, []).append(ticket)
            self.reader.take(message(offset, stream), ticket, self._begin)

    def _begin(self, message: Message, ticket: AckHandle) -> None:
        assert isinstance(ticket, StreamTicket)
        self.begun[ticket.offset] = message, ticket

    def end(self, *offsets: int, complete: bool = True) -> None:
        """All of these have their committed fate, or are given up."""
        for offset in offsets:
            ticket = self.begun.pop(offset)[1]
            if complete:
                ticket.finish()
            ticket.begin(None)(complete)

    def acked(self) -> set[int]:
        return {offset for offset, tickets in self.tickets.items() if all(each.finished for each in tickets)}


def message(offset: int, stream: str = "") -> Message:
    return Message(f"{stream}{offset}".encode(), headers={OFFSET: offset})


def after(reading: Reading) -> Reached:
    """What is stored once all that is done is committed."""
    reached = reading.reader.reached_with(())
    assert reached is not None
    reading.reader.committed(reached)
    assert not reading.reader.unsaved
    return reached


def test_the_first_reading_begins_where_the_source_says_and_the_next_one_where_it_ended():
    assert Reading().reader.attach() == "first"
    at = datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert Reading(offset="2026-11-30T12:00:00Z").reader.attach() == at
    reading = Reading()
    reading.come(0, 1, 2)
    reading.end(0, 1, 2)
    stored = after(reading)
    assert (stored.offset, stored.ahead) == (2, 0)
    assert Reading(stored).reader.attach() == 2


@pytest.mark.parametrize("offset", ["next", "last"])
@pytest.mark.parametrize(
    ("passed_over", "attached"),
    [(6, 6), (-1, datetime.fromtimestamp(1, UTC)), (None, datetime.fromtimestamp(1_700_000_000, UTC))],
)
def test_whoever_begins_at_the_end_begins_behind_it_and_where_it_is_not_known_at_that_time(
    offset: str, passed_over: int | None, attached: object
):
    begun = beginning(Reading(offset=offset).source, passed_over, 1_700_000_000.0)
    for _ in range(2):  # also after a stop before anything came
        reading = Reading(begun, offset=offset)
        assert reading.reader.attach() == attached
        reading.come(6, 7)
        assert sorted(reading.begun) == ([7] if passed_over == 6 else [6, 7])
        assert not any(message.redelivered for message, _ in reading.begun.values())


def test_only_what_is_done_without_a_gap_is_behind_the_place_and_the_rest_is_remembered():
    reading = Reading()
    reading.come(*range(6))
    reading.end(0, 1, 3, 5)
    stored = after(reading)
    assert (stored.offset, stored.ahead) == (1, 0b1010)
    again = Reading(stored)
    again.come(1, 2, 3, 4, 5, 6)
    assert sorted(again.begun) == [2, 4, 6]
    assert again.acked() == {1, 3, 5}


def test_the_place_that_is_written_counts_what_is_committed_in_the_same_transaction():
    reading = Reading()
    reading.come(0, 1, 2)
    reached = reading.reader.reached_with({0, 2})
    assert reached is not None
    assert (reached.offset, reached.ahead) == (0, 0b10)
    assert reading.reader.done_to == -1


def test_what_may_have_been_under_way_at_a_death_is_marked_as_handed_out_again():
    reading = Reading(Reached("orders", 9, ahead=0b100), at_risk=3)
    reading.come(*range(9, 16))
    assert [offset for offset, (message, _) in reading.begun.items() if message.redelivered] == [10, 11, 13]
    assert reading.begun[14][0].message_id == "orders@14"


def test_what_is_under_way_when_the_connection_is_lost_is_waited_for_and_not_begun_again():
    reading = Reading()
    reading.come(0, 1)
    reading.reader.lost()
    for _, ticket in reading.begun.values():
        ticket.begin(None)
    under_way = dict(reading.begun)
    assert reading.reader.attach() == "first"
    reading.come(0, 1, 2)
    assert sorted(reading.begun) == [0, 1, 2]
    assert reading.begun[0] == under_way[0]
    reading.end(0)
    assert reading.acked() == {0}
    reading.end(1, complete=False)
    assert reading.begun[1][0].redelivered
    reading.end(1, 2)
    assert after(reading).offset == 2


def test_what_was_not_begun_when_its_channel_went_is_begun_when_it_comes_again():
    reading = Reading()
    reading.come(0)
    reading.tickets[0][0].valid = False
    reading.come(0)
    assert reading.begun[0][1].valid


def test_what_is_given_back_is_never_nacked_and_read_anew():
    reading = Reading()
    reading.reader.attach()
    reading.come(0, 1)
    assert reading.reader.attach() == 2
    reading.begun[1][1].requeue()
    assert reading.tickets[1][0].given_back == 0
    reading.end(0)
    assert reading.reader.attach() == 0


def test_a_stream_whose_last_done_message_is_another_one_is_read_from_its_beginning():
    reading = Reading()
    reading.come(0, 1, 2)
    reading.end(0, 1, 2)
    again = Reading(after(reading))
    again.reader.attach()
    again.come(2, 3, stream="another ")
    assert not again.begun
    assert again.reader.attach() == "first"
    again.come(0, stream="another ")
    again.end(0)
    stored = after(again)
    assert (stored.epoch, stored.offset) == (1, 0)


@pytest.mark.parametrize("offset", ["next", "last"])
def test_a_stream_that_was_made_anew_is_read_whole_wherever_the_first_reading_began(offset: str):
    reading = Reading(Reached("orders", 9), offset=offset)
    reading.reader.made_anew()
    assert reading.reader.attach() == "first"
    assert Reading(after(reading), offset=offset).reader.attach() == "first"


def test_what_comes_without_an_offset_is_delivered_all_the_same():
    reading, ticket, begun = Reading(), CountingTicket(), list[Message]()
    reading.reader.take(Message(b"of a queue"), ticket, lambda message, _ticket: begun.append(message))
    assert [each.body for each in begun] == [b"of a queue"]
    assert not ticket.finished


def test_messages_that_the_stream_no_longer_holds_are_passed_over():
    reading = Reading(Reached("orders", 9, ahead=0b100))
    reading.reader.attach()
    reading.come(20)
    reading.end(20)
    assert after(reading).offset == 20


def test_what_is_gone_is_passed_over_also_while_messages_before_it_are_under_way():
    reading = Reading()
    reading.come(0, 1)
    reading.come(7, 8)
    reading.end(8, 7, 1)
    stored = after(reading)
    assert (stored.offset, stored.ahead) == (-1, 0b110000010)
    reading.end(0)
    assert after(reading).offset == 8


def test_what_is_gone_by_the_time_it_is_read_anew_is_not_waited_for():
    reading = Reading()
    reading.come(*range(10))
    reading.end(0, 1, 3, 5)
    reading.end(2, 4, complete=False)
    assert reading.reader.attach() == 1
    reading.come(8, 9, 10)
    reading.end(6, 7, 8, 9, 10)
    assert after(reading).offset == 10


def test_what_is_gone_and_given_up_here_is_passed_over_as_well():
    reading = Reading()
    reading.come(*range(6))
    reading.end(0, 1)
    assert reading.reader.attach() == 1
    reading.come(8)
    reading.end(2, 3, 5, 8)
    assert after(reading).offset == 3
    reading.end(4, complete=False)
    assert reading.reader.done_to == 8
    assert after(reading).offset == 8


def test_what_was_given_up_is_still_asked_for_after_a_gap_beyond_it():
    reading = Reading()
    reading.come(0, 1, 2)
    reading.end(0, 2)
    reading.end(1, complete=False)
    reading.come(5)
    reading.end(5)
    assert after(reading).offset == 0
    assert reading.reader.attach() == 0
    reading.come(0, 1, 2, 5)
    reading.end(1)
    assert after(reading).offset == 5


def test_a_stream_that_lost_its_beginning_is_read_although_its_very_first_message_was_not_done():
    reading = Reading(Reached("orders", -1, ahead=0b110))
    assert reading.reader.attach() == "first"
    reading.come(5)
    reading.end(5)
    assert Reading(after(reading)).reader.attach() == 5


def test_what_was_withheld_of_a_stream_that_was_made_anew_is_finished():
    reading = Reading()
    reading.come(*range(4200))
    reading.end(*range(1, 4150))
    assert len(reading.acked()) < 4149
    reading.reader.made_anew()
    assert len(reading.acked()) == 4149
    reading.end(4199)
    assert reading.tickets[4199][0].finished


def test_far_beyond_one_that_is_not_done_nothing_more_is_let_come():
    reading = Reading()
    reading.come(*range(5000))
    reading.end(*range(1, 5000))
    assert len(reading.acked()) == 4095
    reading.end(0)
    assert len(reading.acked()) == 5000


@given(st.permutations(range(12)), st.integers(min_value=0, max_value=12))
def test_however_it_ends_a_restart_begins_just_with_what_was_not_done(order: list[int], done: int):
    reading = Reading()
    reading.come(*range(12))
    reading.end(*order[:done])
    if done:
        again = Reading(after(reading))
        start = again.reader.attach()
        again.come(*range(start if isinstance(start, int) else 0, 12))
        assert set(again.begun) == set(order[done:])
