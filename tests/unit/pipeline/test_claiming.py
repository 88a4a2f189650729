"""Whose the key of an event is, decided from what the database told and what is under way here."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.guards import Claimed
from bridge.pipeline.dedupe import LEASE, Asking, Verdict, judge
from bridge.pipeline.settlement import InFlight, Settlement, UnderWay
from tests.support.tickets import CountingTicket

AT = 1000.0


def a_message(*, valid: bool = True) -> Settlement:
    ticket = CountingTicket()
    ticket.valid = valid
    return Settlement(ticket, "main", InFlight())


def verdict(
    event_id: str = "E2",
    *,
    of: str = "E1",
    holder: str = "me",
    since: float = 1.0,
    done: bool = False,
    new: bool = False,
    running: Settlement | None = None,
    own: Settlement | None = None,
    lease: float = LEASE,
) -> Verdict:
    claimed = Claimed("k", of, holder, AT - since, done=done, new=new)
    return judge(claimed, Asking(event_id, own or a_message(), "me", AT, lease), running)


def test_whoever_claimed_just_now_delivers():
    assert verdict("E1", new=True) is Verdict.OURS


def test_what_another_event_did_or_does_here_is_a_duplicate():
    assert verdict(done=True) is Verdict.DUPLICATE
    assert verdict(done=True, holder="other", since=9999) is Verdict.DUPLICATE
    assert verdict(running=a_message()) is Verdict.DUPLICATE
    message = a_message()
    assert verdict(running=message, own=message) is Verdict.DUPLICATE


def test_an_event_that_comes_again_when_all_of_it_is_done_is_over():
    assert verdict("E1", done=True) is Verdict.OVER


def test_a_message_whose_connection_was_lost_is_waited_for_as_it_may_be_this_one():
    assert verdict(running=a_message(valid=False)) is Verdict.WAIT
    assert verdict("E1", running=a_message(valid=False)) is Verdict.WAIT


def test_what_was_begun_here_and_is_not_under_way_any_more_is_taken_up_again():
    assert verdict() is Verdict.TAKE_OVER
    assert verdict("E1") is Verdict.TAKE_OVER


def test_another_process_is_waited_for_until_nothing_was_heard_of_it():
    assert verdict(holder="other") is Verdict.WAIT
    assert verdict("E1", holder="other") is Verdict.WAIT
    assert verdict(holder="other", since=LEASE + 0.1) is Verdict.TAKE_OVER
    assert verdict(holder="") is Verdict.TAKE_OVER
    assert verdict(holder="other", since=0, lease=-1) is Verdict.TAKE_OVER


@given(
    st.sampled_from(["E1", "E2"]),
    st.sampled_from(["me", "other", ""]),
    st.floats(0, 100),
    st.booleans(),
    st.sampled_from([None, True, False]),
)
def test_nothing_is_dropped_that_nobody_has(event_id, holder, since, new, ticket):
    running = None if ticket is None else a_message(valid=ticket)
    found = verdict(event_id, holder=holder, since=since, new=new, running=running)

    # Not done: it is a duplicate only of a message that the broker still waits for here.
    assert found is not Verdict.OVER
    if found is Verdict.DUPLICATE:
        assert running is not None
        assert running.valid
        assert holder == "me"


def test_a_message_is_under_way_for_as_long_as_its_fate_is_open():
    under_way = UnderWay()
    messages = {f"E{number}": a_message() for number in range(5000)}
    for event_id, message in messages.items():
        under_way.add(event_id, message)
        if event_id != "E7":
            message.fate_committed()

    assert under_way.get("E7") is messages["E7"]
    assert under_way.get("E8") is None
    assert under_way.get("E4999") is None
    messages["E7"].drop_one()
    assert under_way.get("E7") is None
