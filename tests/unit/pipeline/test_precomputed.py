"""Values that are computed ahead are found by their message, and do not keep it in memory."""

import gc

from bridge.core.event import Event, Message
from bridge.pipeline.hook_table import Precomputed


def event(body: bytes = b"{}") -> Event:
    return Event("id", "s", "a.b", "json", 1.5, Message(body))


def test_a_value_is_taken_once():
    computed, asked = Precomputed[str](), event()
    computed.note(asked, "found")
    assert computed.take(asked, "none") == "found"
    assert computed.take(asked, "none") == "none"


def test_events_with_equal_messages_have_values_of_their_own():
    computed, first, second = Precomputed[str](), event(), event()
    computed.note(first, "first")
    computed.note(second, "second")
    assert (computed.take(first, ""), computed.take(second, "")) == ("first", "second")


def test_a_value_that_nobody_takes_goes_with_its_message():
    computed, kept = Precomputed[str](), event()
    computed.note(kept, "kept")
    for number in range(3):
        computed.note(event(b"%d" % number), "duplicate")
    gc.collect()
    assert len(computed) == 1
    assert computed.take(kept, "") == "kept"
