import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.delivery import Answer, Fault
from bridge.model.event import Event, Message
from bridge.rules.wire.body import Body, Build, builder, php_json, script_input, to_json

VECTORS = Path(__file__).parents[2] / "data" / "vectors"
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def event(
    body: bytes,
    data: Any = None,
    content_type: str | None = None,
    content_encoding: str | None = None,
    *,
    fmt: str = "json",
) -> Event:
    message = Message(body=body, content_type=content_type, content_encoding=content_encoding)
    return Event(
        id="01987a5c",
        source="s",
        type="customers.create",
        format=fmt,
        received_at=0.0,
        message=message,
        data=data,
        time="2025-03-14T09:26:53+01:00",
        identity="webmaster",
    )


def built_by(build: Build, sent: Event) -> Body:
    built = build(sent)
    assert isinstance(built, Body)
    return built


def line_of(kind: str, sent: Event) -> bytes:
    line = script_input(kind)(sent)
    assert isinstance(line, bytes)
    return line


def splynx(name: str) -> Event:
    body = (VECTORS / f"{name}.json").read_bytes()
    return event(body, json.loads(body), fmt="splynx")


@given(st.binary())
def test_raw_is_the_publishers_bytes(body):
    assert built_by(builder("raw"), event(body)).content is body


@pytest.mark.parametrize(
    ("given_type", "data", "sent"),
    [
        ("application/cloudevents+json; charset=UTF-8", None, "application/cloudevents+json; charset=UTF-8"),
        (None, {"a": 1}, "application/json"),
        ("", {"a": 1}, "application/json"),
        (None, None, "application/octet-stream"),
        ("text/plain\r\nX-Evil: 1", None, "application/octet-stream"),
        ("tëxt/plain", None, "application/octet-stream"),
        ("JSON", {"a": 1}, "application/json"),
        (" text/plain ", None, "text/plain"),
    ],
)
def test_the_content_type_is_the_messages_own_if_it_is_sane(given_type, data, sent):
    assert built_by(builder("raw"), event(b"x", data, given_type)).content_type == sent


def test_a_body_that_is_null_is_json():
    assert built_by(builder("raw"), event(b" null\n")).content_type == "application/json"
    assert built_by(builder("data"), event(b"null")).content == b"null"


@pytest.mark.parametrize(
    ("coding", "sent"), [("gzip", "gzip"), ("utf-8", None), ("binary", None), (None, None)]
)
def test_only_a_real_content_coding_is_told(coding, sent):
    assert built_by(builder("raw"), event(b"x", content_encoding=coding)).content_encoding == sent


@given(JSON_VALUES.filter(lambda value: value is not None))
def test_data_reads_back_as_the_parsed_body(data):
    built = built_by(builder("data"), event(b"...", data))
    assert isinstance(built, Body)
    assert json.loads(built.content) == data


def test_integers_of_any_size_and_lone_surrogates_keep_their_value():
    data = {"big": 123456789012345678901234567890, "cut": "\ud83d", "float": 0.1}
    text = to_json(data)
    assert isinstance(text, bytes)
    assert json.loads(text) == data


def test_data_of_a_body_that_is_not_json_fails_for_good_with_a_reason():
    answer = builder("data")(event(b"\xff\xfe"))
    assert answer == Answer(
        fault=Fault.CONTENT,
        error="the body is not JSON, so there is no data to send; choose `body: raw`",
        lasting=True,
    )


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("data", [float("nan"), {"a": float("inf"), "b": 2**70}, nested(20_000), object()])
def test_what_json_cannot_hold_never_raises(data):
    makers: list[Callable[[Event], object]] = [
        builder("data"),
        builder("event"),
        script_input("data"),
        script_input("event"),
    ]
    for make in makers:
        answer = make(event(b"x", data))
        assert not isinstance(answer, Answer) or (answer.fault is Fault.CONTENT and answer.lasting)


def test_the_event_object_holds_what_is_known_of_the_event():
    built = built_by(builder("event"), event(b'{"a":1}', {"a": 1}))
    assert json.loads(built.content) == {
        "id": "01987a5c",
        "type": "customers.create",
        "source": "s",
        "time": "2025-03-14T09:26:53+01:00",
        "data": {"a": 1},
        "identity": "webmaster",
    }
    assert built.content_type == "application/json"


@given(st.binary())
def test_the_event_object_carries_a_body_that_is_not_json_as_base64(body):
    if body.strip() == b"null":
        return
    fields = json.loads(built_by(builder("event"), event(body)).content)
    assert base64.b64decode(fields["data_base64"]) == body
    assert "data" not in fields


def test_the_splynx_profile_names_the_type_and_touches_nothing_else():
    built = built_by(builder("raw", "splynx"), splynx("queue_customer_create"))
    original = (VECTORS / "queue_customer_create.json").read_bytes()
    assert built.content == original.replace(b'"type":""', b'"type":"event"', 1)
    assert json.loads(built.content)["call"] == ""


def test_the_splynx_profile_keeps_numbers_as_they_were_written():
    original = (VECTORS / "nasty_bigint_float_edge.json").read_bytes()
    built = built_by(builder("raw", "splynx"), splynx("nasty_bigint_float_edge"))
    assert built.content == original.replace(b'{"type":""', b'{"type":"event"', 1)


@pytest.mark.parametrize("name", ["webhook_event_customer_create", "webhook_event_customer_update_unicode"])
def test_the_splynx_profile_leaves_a_type_that_is_there(name):
    sent = splynx(name)
    assert built_by(builder("raw", "splynx"), sent).content is sent.message.body


def test_a_type_that_is_not_first_is_named_in_the_spelling_of_php():
    data = {"call": "a/b", "data": {"type": "", "name": "Ž"}, "type": ""}
    built = built_by(builder("raw", "splynx"), event(json.dumps(data).encode(), data, fmt="splynx"))
    assert built.content == b'{"call":"a\\/b","data":{"type":"","name":"\\u017d"},"type":"event"}'


def test_an_empty_type_deeper_down_is_not_touched():
    data = {"data": {"type": ""}}
    sent = event(json.dumps(data).encode(), data, fmt="splynx")
    assert built_by(builder("raw", "splynx"), sent).content is sent.message.body


@pytest.mark.parametrize("body", [b"", b"[]", b"\xef\xbb\xbf{}", b"\xff", b'"x"', b"null"])
def test_the_splynx_profile_leaves_what_is_no_envelope(body):
    sent = event(body, fmt="splynx")
    assert built_by(builder("raw", "splynx"), sent).content is body


def test_other_profiles_leave_an_empty_type():
    sent = splynx("queue_customer_create")
    assert built_by(builder("raw", "standard"), sent).content is sent.message.body


def test_a_script_gets_the_inner_data_of_splynx_as_splynx_itself_would_hand_it_over():
    line = line_of("data", splynx("queue_customer_create"))
    assert line == (VECTORS / "script_stdin_flat_customer_create.json").read_bytes().rstrip(b"\n") + b"\n"


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


@pytest.mark.parametrize("make", [builder, script_input])
def test_an_unknown_kind_is_an_error(make):
    with pytest.raises(ValueError, match="no kind"):
        make("form")


@given(JSON_VALUES)
def test_php_spelling_reads_back_and_is_ascii(data):
    text = php_json(data)
    assert isinstance(text, bytes)
    assert text.isascii()
    assert json.loads(text) == data
