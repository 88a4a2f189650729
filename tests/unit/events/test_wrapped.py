"""A message written as JSON becomes the message that it describes, byte for byte."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.errors import SettingsError
from bridge.core.event import Message
from bridge.events.message_json import described, unwrapped


def read(text: str | bytes) -> Message:
    return unwrapped(text.encode() if isinstance(text, str) else text, "m.json", lambda _: None)


def of(**fields: Any) -> Message:
    return read(json.dumps(fields))


@pytest.mark.parametrize(
    ("written", "body"),
    [
        ('{ "b" : 1.0,  "a": [ 1e-07, -0.0, 12345678901234567890 ] }', b'{"b":1.0,"a":[1e-07,-0.0,12345678901234567890]}'),
        (r'{"a": "x \" { } \\", "u": "\u00e9\/", "a": 2}', rb'{"a":"x \" { } \\","u":"\u00e9\/","a":2}'),
        ("[ ]", b"[]"),
        ("null", b"null"),
        ("5", b"5"),
        ("true", b"true"),
        ('"text é"', "text é".encode()),
        ('""', b""),
        (r'"{\"a\": 1}"', b'{"a": 1}'),
        (r'"{\"a\":\"\ud83d\"}"', rb'{"a":"\ud83d"}'),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "shape", ['{"body": %s}', '\ufeff { "x-note":{"body":[1,"}"]}, "body" :%s , "headers":{} }\n']
)
def test_a_body_is_sent_as_compact_json_and_text_as_it_is(shape, written, body):
    assert read(shape % written).body == body


def test_a_body_may_be_bytes_or_absent():
    assert of(body_base64="//4=").body == b"\xff\xfe"
    assert of().body == b""


def test_a_body_that_nests_deeper_than_recursion_follows_is_sent_all_the_same():
    body = "[" * 5000 + "]" * 5000
    assert read('{"routing_key":"q","body":' + body + "}").body == body.encode()


def test_everything_of_a_message_can_be_told():
    texts = ("content_type", "content_encoding", "correlation_id", "message_id", "app_id", "type")
    message = of(
        exchange="e",
        routing_key="k",
        redelivered=True,
        properties={name: name for name in texts} | {"timestamp": 1746428889, "delivery_mode": 2},
        headers={"a": None, "b": [1, {"c": 1.5}], "n": 12345678901234567890},
    )
    assert [getattr(message, name) for name in texts] == list(texts)
    assert (message.exchange, message.routing_key, message.redelivered) == ("e", "k", True)
    assert message.timestamp == datetime(2025, 5, 5, 7, 8, 9, tzinfo=UTC)
    assert message.headers == {"a": None, "b": [1, {"c": 1.5}], "n": 12345678901234567890}


def test_null_is_absent_everywhere():
    absent = dict.fromkeys(("exchange", "routing_key", "properties", "headers"))
    assert of(**absent) == Message(b"")
    assert of(properties=dict.fromkeys(("type", "timestamp", "message_id", "priority"))) == Message(b"")


def test_headers_may_stand_among_the_properties_and_php_writes_empty_ones_as_a_list():
    assert of(properties={"headers": {"a": 1}}).headers == {"a": 1}
    assert of(headers=[]).headers == {}


@pytest.mark.parametrize(
    "told", [1746428889, 1746428889000, "1746428889", "2025-05-05T09:08:09+02:00", "2025-05-05T07:08:09"]
)
def test_a_timestamp_is_seconds_milliseconds_or_text(told):
    assert of(properties={"timestamp": told}).timestamp == datetime(2025, 5, 5, 7, 8, 9, tzinfo=UTC)


def test_what_is_not_known_is_told_and_passed_over():
    notes: list[str] = []
    text = json.dumps({"properties": {"mesage_id": "x"}, "comment": 1}).encode()
    assert unwrapped(text, "m.json", notes.append) == Message(b"")
    assert max(notes) == "properties.'mesage_id' is passed over; did you mean message_id?"
    assert "'comment'" in min(notes)


def test_what_stands_beside_the_message_is_given_to_who_asks_for_it():
    notes: list[str] = []
    text = b'{"body": {"a": 1}, "source": ["x"], "sauce": 2}'
    message, further = described(text, "m.json", notes.append, ("source", "other"))
    assert (message, further) == (Message(b'{"a":1}'), {"source": ["x"]})
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no message; it must be a JSON object"),
        ("[]", "no message; it must be a JSON object"),
        ("null", "no message; it must be a JSON object"),
        ("{", "m.json: no JSON: line 1, column 2"),
        ('{"body": {"a":}}', "no JSON: line 1, column 15"),
        ('{"body": 1} x', "no JSON: line 1, column 13"),
        ('{"body": ' + "[" * 5000 + "}", "no JSON: "),
        (b'{"a": "\xff"}', "no JSON: byte 8 is not UTF-8"),
        ('{"headers": 5}', "headers: must be an object, not a number"),
        ('{"properties": "x"}', "properties: must be an object, not text"),
        ('{"routing_key": {}}', "routing_key: must be text, not an object"),
        ('{"properties": {"type": true}}', "properties.type: must be text, not true or false"),
        ('{"properties": {"timestamp": "soon"}}', "properties.timestamp: must be Unix seconds"),
        ('{"properties": {"timestamp": -1}}', "properties.timestamp: must be Unix seconds"),
        ('{"properties": {"timestamp": NaN}}', "properties.timestamp: must be Unix seconds"),
        ('{"properties": {"timestamp": 1e300}}', "properties.timestamp: must be Unix seconds"),
        ('{"properties": {"timestamp": []}}', "properties.timestamp: must be Unix seconds"),
        ('{"body_base64": "?"}', "body_base64: no base64"),
        ('{"body_base64": "aGk=", "body": 1}', "body_base64: give either"),
    ],
)
def test_what_describes_no_message_is_told(text, message):
    with pytest.raises(SettingsError) as told:
        read(text)
    assert message in str(told.value)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)
NAMES = ("exchange", "routing_key", "properties", "headers", "body", "body_base64")
PROPERTIES = ("type", "timestamp", "message_id", "content_type", "headers")


@given(
    st.dictionaries(st.sampled_from(NAMES), anything | st.dictionaries(st.sampled_from(PROPERTIES), anything))
)
def test_nothing_but_a_settings_error_comes_of_any_json(fields):
    try:
        message = of(**fields)
    except SettingsError:
        return
    if "body" in fields and not isinstance(fields["body"], str):
        assert message.body == json.dumps(fields["body"], separators=(",", ":")).encode()


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,\\ ab01', max_size=60).map(str.encode))
def test_nothing_but_a_settings_error_comes_of_any_bytes(text):
    try:
        read(b'{"body":' + text + b"}")
    except SettingsError:
        return


@pytest.mark.timeout(5)  # tried anew at each of the quotes it took minutes
def test_a_description_cut_off_in_a_long_text_is_refused_at_once():
    with pytest.raises(SettingsError):
        read(b'{"body": "' + b'\\"' * 100_000)
