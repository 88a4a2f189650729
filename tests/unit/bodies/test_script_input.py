"""What scripts read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.bodies.body import script_input
from bridge.core.delivery import Answer, Fault
from bridge.core.event import Event
from tests.support.bodies import ANYTHING, SPLYNX, event, splynx


def line_of(kind: str, sent: Event) -> bytes:
    line = script_input(kind)(sent)
    assert isinstance(line, bytes)
    return line


def test_a_script_gets_the_inner_data_of_splynx_as_splynx_itself_would_hand_it_over():
    line = line_of("data", splynx("queue_customer_create"))
    assert line == (SPLYNX / "script_stdin_flat_customer_create.json").read_bytes().rstrip(b"\n") + b"\n"


def test_a_script_gets_php_spelling_for_splynx():
    sent = splynx("webhook_event_customer_update_unicode")
    line = line_of("data", sent)
    assert line.rstrip(b"\n") in sent.message.body


def test_a_script_gets_the_whole_data_of_other_formats():
    assert line_of("data", event(b"...", {"data": {"x": "a/b"}})) == b'{"data":{"x":"a/b"}}\n'


def test_a_script_gets_the_body_untouched():
    body = b"\xff\x00 line\r\n"
    assert line_of("body", event(body)) is body


def test_a_script_gets_the_event_in_one_line():
    line = line_of("event", event(b"{}", {"text": "two\nlines"}))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1


def test_a_script_that_wants_data_of_a_body_without_any_fails_for_good():
    answer = script_input("data")(event(b"plain text"))
    assert isinstance(answer, Answer)
    assert answer.fault is Fault.CONTENT
    assert answer.lasting
    assert "stdin: body" in answer.error


@given(st.sampled_from(["data", "body", "event"]), st.sampled_from(["json", "splynx"]), ANYTHING)
def test_what_a_script_reads_is_made_or_refused_for_good(kind, fmt, data):
    made = script_input(kind)(event(b"x", data, fmt=fmt))
    assert not isinstance(made, Answer) or (made.fault is Fault.CONTENT and made.lasting)


def test_an_unknown_kind_is_an_error():
    with pytest.raises(ValueError, match="no kind"):
        script_input("form")
