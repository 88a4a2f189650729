"""Codes of the bridge's own messages, over what the broker gives back of a published message."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.amqp.codec import read_table, write_table
from bridge.amqp.lanes import as_read
from bridge.core.event import Message
from bridge.wire.copies import CODE, MessageKeys

KEYS = MessageKeys.derived_from([b"first key of this bridge", b"an older key"])
BODY = b'{"id": 17}'
HEADERS = {
    "x-bridge-delivery": "0197-delivery",
    "x-bridge-generation": 1,
    "x-bridge-attempt": 2,
    "x-bridge-hook": "crm",
    "x-bridge-type": "customers.create",
    "x-bridge-identity": "webmaster",
    "x-bridge-headers": {"trace": "a", "octets": b"\xff\xfe"},
}
LIKE = Message(BODY, content_type="application/json")

texts = st.text(st.characters(), max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | texts
    | st.binary(max_size=20)
    | st.builds(bytearray, st.binary(max_size=20))
    | st.decimals(min_value=-1000, max_value=1000, places=2)
    | st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)),  # noqa: DTZ001
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def published(headers, body=BODY, like=LIKE, keys=KEYS):
    """The message as it comes out of a queue."""
    sent = keys.copies.sign(as_read(headers), like, body)
    table, _ = read_table(write_table(sent), 0)
    return replace(like, body=body, headers=table)


@example({"x-bridge-\ud800": {}}, b"")
@given(st.dictionaries(texts.map("x-bridge-{}".format), values, max_size=4), st.binary(max_size=50))
def test_what_was_signed_is_genuine_whatever_values_the_headers_hold(headers, body):
    assert KEYS.copies.is_genuine(published(headers, body))


def test_headers_that_the_broker_adds_change_nothing():
    message = published(HEADERS)
    assert KEYS.copies.is_genuine(
        replace(message, headers={**message.headers, "x-death": [{"count": 1}], "x-delivery-count": 3})
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-bridge-delivery", "0197-other"),
        ("x-bridge-generation", 2),
        ("x-bridge-attempt", 1),
        ("x-bridge-hook", "other"),
        ("x-bridge-type", "customers.delete"),
        ("x-bridge-identity", "admin"),
        ("x-bridge-headers", {"trace": "b", "octets": b"\xff\xfe"}),
        ("x-bridge-done", "https://one.example"),
        (CODE, ""),
        (CODE, None),
        (CODE, 7),
        (CODE, "ž" * 64),
        (CODE, "0" * 64),
    ],
)
def test_a_changed_header_is_noticed(name, value):
    message = published(HEADERS)
    assert not KEYS.copies.is_genuine(replace(message, headers={**message.headers, name: value}))


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_was_taken_out_is_noticed(name):
    message = published(HEADERS)
    assert not KEYS.copies.is_genuine(
        replace(message, headers={key: value for key, value in message.headers.items() if key != name})
    )


@pytest.mark.parametrize(
    "change",
    [{"body": b'{"id": 18}'}, {"content_type": "text/plain"}, {"content_encoding": "gzip"}, {"type": "x"}],
)
def test_a_changed_body_or_property_is_noticed(change):
    assert not KEYS.copies.is_genuine(replace(published(HEADERS), **change))


def test_keys_rotate_with_overlap():
    old = MessageKeys.derived_from([b"an older key"])
    assert KEYS.copies.is_genuine(published(HEADERS, keys=old))
    assert not old.copies.is_genuine(published(HEADERS))
    assert not MessageKeys.derived_from([b"a key of somebody else"]).copies.is_genuine(published(HEADERS))


def test_a_code_for_one_kind_of_message_proves_nothing_for_another():
    message = published(HEADERS)
    assert not KEYS.events.is_genuine(message)
    assert not KEYS.control.is_genuine(message)


def test_what_is_nested_too_deep_to_have_been_signed_is_not_genuine():
    nested: list = []
    for _ in range(300):
        nested = [nested]
    message = published(HEADERS)
    assert not KEYS.copies.is_genuine(
        replace(message, headers={**message.headers, "x-bridge-headers": nested})
    )


def test_a_time_of_which_the_broker_keeps_seconds_only_is_still_genuine():
    headers = {
        **HEADERS,
        "x-bridge-headers": {"at": datetime(2200, 1, 1, microsecond=5, tzinfo=UTC), "price": Decimal("1.50")},
    }
    assert KEYS.copies.is_genuine(published(headers))
