"""Bodies that every hook can ask for: the bytes, the data, the event."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.bodies.body import Body
from bridge.core.delivery import Answer, Fault
from bridge.core.event import Event, Message
from tests.support.bodies import ANYTHING, JSON_VALUES, build, built_by, event, refusal
from tests.support.publishers import decoded

KINDS = ["raw", "data", "event"]


@given(st.binary())
def test_raw_is_the_publishers_bytes(body):
    assert built_by(build("raw"), event(body)).content is body


@pytest.mark.parametrize("profile", ["standard", "tiki", "github", "stripe", "generic", "none"])
def test_most_profiles_send_the_publishers_bytes(profile):
    body = b'{"type": ""}'
    assert build(None, profile)(event(body, {"type": ""})) == Body(body, "application/json")


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
    assert built_by(build("raw"), event(b"x", data, given_type)).content_type == sent


def test_a_body_that_is_null_is_json():
    assert built_by(build("raw"), event(b" null\n")).content_type == "application/json"
    assert built_by(build("data"), event(b"null")).content == b"null"


def test_an_envelope_without_data_has_null_as_data():
    sent = event(b'{"specversion":"1.0"}', fmt="cloudevents")
    assert built_by(build("data"), sent).content == b"null"
    assert json.loads(built_by(build("event"), sent).content)["data"] is None


@pytest.mark.parametrize(
    ("coding", "sent"), [("gzip", "gzip"), ("utf-8", None), ("binary", None), (None, None)]
)
def test_only_a_real_content_coding_is_told(coding, sent):
    assert built_by(build("raw"), event(b"x", content_encoding=coding)).content_encoding == sent


@given(JSON_VALUES.filter(lambda value: value is not None))
def test_data_reads_back_as_the_parsed_body(data):
    assert json.loads(built_by(build("data"), event(b"...", data)).content) == data


def test_data_of_a_body_that_is_not_json_fails_for_good_with_a_reason():
    assert "not JSON" in refusal(build("data"), event(b"\xff\xfe"))
    assert "choose `body: raw`" in refusal(build("data"), event(b""))


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("data", [float("nan"), {"a": float("inf"), "b": 2**70}, nested(2000), object()])
def test_what_json_cannot_hold_never_raises(kind, data):
    answer = build(kind)(event(b"x", data))
    assert not isinstance(answer, Answer) or (answer.fault is Fault.CONTENT and answer.lasting)


@given(st.sampled_from(KINDS), ANYTHING)
def test_a_body_is_made_or_refused_for_good(kind, data):
    answer = build(kind)(event(b"x", data))
    assert not isinstance(answer, Answer) or (answer.fault is Fault.CONTENT and answer.lasting)


def test_the_event_object_holds_what_is_known_of_the_event():
    built = built_by(build("event"), event(b'{"a":1}', {"a": 1}))
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
    fields = json.loads(built_by(build("event"), event(body)).content)
    assert base64.b64decode(fields["data_base64"]) == body
    assert "data" not in fields


def test_an_unknown_kind_is_an_error():
    with pytest.raises(ValueError, match="no kind"):
        build("xml")


@pytest.mark.parametrize(
    ("told", "headers", "kind", "coding"),
    [
        ("X-GZIP, utf-8", {}, "application/json", "gzip"),
        ("utf-8", {"compression": "application/x-gzip"}, "application/json", "deflate"),
        ("ISO-8859-1", {}, "application/json; charset=iso-8859-1", None),
    ],
)
def test_a_receiver_is_told_how_to_read_the_bytes_that_it_gets(told, headers, kind, coding):
    came = event(b"{}", {}, headers=headers, content_type="application/json", content_encoding=told)
    assert built_by(build("raw"), came) == Body(b"{}", kind, coding)


def test_why_there_are_no_data_is_what_the_attempt_says():
    came = decoded(Message(b"{}", content_encoding="gzip")).event
    assert isinstance(came, Event)
    assert refusal(build("data"), came) == (
        "the body is labelled gzip, and is corrupt, cut off or something else, so there is no data to send; "
        "choose `body: raw`"
    )
