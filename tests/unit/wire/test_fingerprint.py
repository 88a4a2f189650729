"""What tells one message from another: the same each time it is handed out, and another one for another message."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.event import Message
from bridge.wire.copies import copy_digest, delivery_count, message_digest

MESSAGE = Message(b"{}", "exchange", "key", {"a": "1", "b": [1, b"\xff"]}, message_id="m", type="t")
COPY = Message(b"{}", headers={"x-bridge-delivery": "d", "x-bridge-generation": 1, "x-bridge-attempt": 2})


@given(st.integers(0, 100), st.integers(0, 100))
def test_how_often_it_was_handed_out_makes_no_difference(delivered: int, acquired: int):
    counted = {**MESSAGE.headers, "x-delivery-count": delivered, "x-acquired-count": acquired}
    again = replace(MESSAGE, headers=counted, redelivered=True)
    assert message_digest("q", again) == message_digest("q", MESSAGE)


@pytest.mark.parametrize(
    "change",
    [
        {"body": b"{} "},
        {"exchange": "other"},
        {"routing_key": "other"},
        {"message_id": None},
        {"type": "other"},
        {"headers": {"a": "1"}},
        {"headers": {"a": 1, "b": [1, b"\xff"]}},
        {"exchange": "exchangekey", "routing_key": ""},
    ],
    ids=str,
)
def test_another_message_has_another_digest(change: dict[str, Any]):
    assert message_digest("q", replace(MESSAGE, **change)) != message_digest("q", MESSAGE)


def test_the_same_message_of_another_queue_is_another_one():
    assert message_digest("q", MESSAGE) != message_digest("r", MESSAGE)


@given(st.text(max_size=10), st.text(max_size=10), st.binary(max_size=10))
def test_any_text_and_any_bytes_have_one(name: str, value: str, body: bytes):
    message = Message(body, name, value, {name: value})
    assert len(message_digest(value, message)) == len(copy_digest("lanes", message)) == 64


def test_copies_of_one_message_that_was_parked_twice_are_known_as_the_same():
    twice = {**COPY.headers, "x-bridge-delivery": "e", "x-bridge-event": "another"}
    assert copy_digest("lanes", replace(COPY, headers=twice)) == copy_digest("lanes", COPY)


@pytest.mark.parametrize("name", ["attempt", "generation", "hook", "source", "publisher-id", "headers"])
def test_a_copy_for_another_attempt_hook_or_message_is_another_one(name: str):
    other = {**COPY.headers, f"x-bridge-{name}": {"n": 1} if name == "headers" else 3}
    assert copy_digest("lanes", replace(COPY, headers=other)) != copy_digest("lanes", COPY)
    assert copy_digest("lanes", replace(COPY, body=b"other")) != copy_digest("lanes", COPY)


def test_what_is_no_copy_is_known_as_a_whole():
    one, other = replace(COPY, headers={}), replace(COPY, headers={}, body=b"other")
    assert copy_digest("lanes", one) != copy_digest("lanes", other)


@pytest.mark.parametrize("said", [None, "20", True, -1, 3.5, [20]], ids=str)
def test_a_count_that_is_none_counts_nothing(said: object):
    assert delivery_count({"x-delivery-count": said}) == 0
    assert delivery_count({}) == 0
    assert delivery_count({"x-delivery-count": 17}) == 17
