"""CloudEvents over HTTP, read back the way the specification has it."""

import base64
import gzip
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.bodies.body import Body
from bridge.bodies.profiles import header_value
from bridge.core.delivery import Answer
from bridge.core.event import Event, Message, Source
from bridge.formats.decoder import Decoder
from tests.support.bodies import ANYTHING, build, built_by, event, parsed, refusal, splynx

STRUCTURED = "application/cloudevents+json"
PAID: Any = {
    "specversion": "1.0",
    "type": "com.example.order.paid",
    "source": "/shop",
    "id": "A236",
    "time": "2025-05-05T07:08:09Z",
    "datacontenttype": "application/json",
    "tenant": "Euro € 😀",
    "data": {"total": "9.90"},
}


def arrived(
    body: bytes, content_type: str | None = None, headers: Any = None, coding: str | None = None
) -> Event:
    message = Message(body, content_type=content_type, headers=headers or {}, content_encoding=coding)
    made = (
        Decoder(Source(name="s", queue="s"))
        .decode(message, new_id=lambda: "0197", received_at=1741940813.25)
        .event
    )
    assert isinstance(made, Event)
    return made


def in_binary(sent: Event) -> tuple[dict[str, str], Body]:
    built = built_by(build("cloudevents-binary"), sent)
    assert all(name.startswith("ce-") for name, _ in built.headers)
    return {name[3:]: unquote_to_bytes(value).decode() for name, value in built.headers}, built


def object_of(sent: Event) -> Any:
    built = built_by(build("cloudevents"), sent)
    assert built.content_type == STRUCTURED
    return json.loads(built.content)


def test_any_event_becomes_a_cloudevent():
    sent = parsed({"a": [1, "ü"]}, webhook_id="w1", type="customers.create", time="2025-03-14T08:26:53Z")
    assert object_of(sent) == {
        "specversion": "1.0",
        "id": "w1",
        "source": "/amqp-bridge/s",
        "type": "customers.create",
        "time": "2025-03-14T08:26:53Z",
        "datacontenttype": "application/json",
        "data": {"a": [1, "ü"]},
    }


def test_without_a_time_of_the_publishers_it_is_when_the_bridge_received_it():
    for time in (None, "2025-03-14T08:26:53", "soon"):
        assert object_of(parsed(1, time=time))["time"] in ("2025-03-14T08:26:53.250Z", "2025-03-14T08:26:53Z")
    assert object_of(parsed(1, time=None))["id"] == "01987a5c"


def test_the_data_of_an_envelope_stand_alone():
    sent = splynx("queue_customer_create")
    assert object_of(sent)["data"] == sent.data
    attributes, built = in_binary(sent)
    assert json.loads(built.content) == sent.data
    assert built.content_type == "application/json"
    assert attributes["source"] == "/amqp-bridge/s"


def test_what_is_not_json_travels_as_base64():
    fields = object_of(event(b"\xff\x00", content_type="image/png"))
    assert fields["datacontenttype"] == "image/png"
    assert base64.b64decode(fields["data_base64"]) == b"\xff\x00"
    assert "data" not in fields
    assert "data_base64" not in object_of(event(b""))
    packed = event(gzip.compress(b"plain words"), content_type="text/plain", content_encoding="gzip")
    assert base64.b64decode(object_of(packed)["data_base64"]) == b"plain words"


def test_in_binary_the_publishers_bytes_are_the_body():
    body = b'{ "a" : 1.10 }'
    attributes, built = in_binary(
        event(body, {"a": 1.1}, "application/json; charset=utf-8", time="2025-03-14T08:26:53Z")
    )
    assert built.content is body
    assert built.content_type == "application/json; charset=utf-8"
    assert attributes == {
        "specversion": "1.0",
        "id": "01987a5c",
        "source": "/amqp-bridge/s",
        "type": "customers.create",
        "time": "2025-03-14T08:26:53Z",
    }


@pytest.mark.parametrize("content_type", [STRUCTURED, "application/CloudEvents+json; charset=utf-8", None])
def test_a_structured_one_goes_on_byte_for_byte(content_type):
    body = json.dumps(PAID, indent=1).encode()
    built = built_by(build("cloudevents"), arrived(body, content_type))
    assert built == Body(body, content_type or STRUCTURED)


def test_a_structured_one_becomes_binary_with_all_its_attributes():
    attributes, built = in_binary(arrived(json.dumps(PAID).encode(), STRUCTURED))
    assert (built.content, built.content_type) == (b'{"total":"9.90"}', "application/json")
    assert attributes == {
        name: value for name, value in PAID.items() if name not in ("data", "datacontenttype")
    }


@pytest.mark.parametrize(
    ("parts", "content", "content_type"),
    [
        ({"data": "plain", "datacontenttype": "text/plain"}, b"plain", "text/plain"),
        ({"data": "plain"}, b'"plain"', "application/json"),
        ({"data": None}, b"null", "application/json"),
        (
            {"data": [1], "datacontenttype": "application/vnd.x+json; v=1"},
            b"[1]",
            "application/vnd.x+json; v=1",
        ),
        ({"data_base64": "iVBORw0KGgo=", "datacontenttype": "image/png"}, b"\x89PNG\r\n\x1a\n", "image/png"),
        ({"data_base64": "/w=="}, b"\xff", "application/octet-stream"),
        ({"datacontenttype": "text/plain\r\nX-Evil: 1", "data": 1}, b"1", "application/json"),
        ({}, b"", "application/json"),
    ],
)
def test_the_data_become_the_body_they_stand_for(parts, content, content_type):
    fields = {name: PAID[name] for name in ("specversion", "type", "source", "id")} | parts
    _, built = in_binary(arrived(json.dumps(fields).encode(), STRUCTURED))
    assert (built.content, built.content_type) == (content, content_type)


@pytest.mark.parametrize("encoded", ["not base64!", 7, ["a"]])
def test_data_that_are_no_base64_are_refused_for_good(encoded):
    sent = arrived(
        json.dumps(PAID | {"data_base64": encoded}).replace('"data":', '"other":').encode(), STRUCTURED
    )
    assert "no base64" in refusal(build("cloudevents-binary"), sent)


HEADERS = {
    "cloudEvents:specversion": "1.0",
    "cloudEvents_type": "com.example.order.paid",
    "ce-source": "/shop",
    "cloudEvents:id": "A234",
    "cloudEvents:time": datetime(2025, 5, 5, 7, 8, 9, tzinfo=UTC),
    "cloudEvents:sequence": 17,
    "cloudEvents:sampled": True,
    "cloudEvents:subject": None,
    "other": "x",
}


def test_a_binary_one_keeps_its_attributes():
    attributes, built = in_binary(arrived(b'{"total": 9.90}', "application/json", HEADERS))
    assert attributes == {
        "specversion": "1.0",
        "id": "A234",
        "source": "/shop",
        "type": "com.example.order.paid",
        "time": "2025-05-05T07:08:09Z",
        "sequence": "17",
        "sampled": "true",
    }
    assert built.content == b'{"total": 9.90}'


def test_a_binary_one_becomes_structured_with_all_its_attributes():
    assert object_of(arrived(b'{"total": 9.90}', "application/json", HEADERS)) == {
        "specversion": "1.0",
        "id": "A234",
        "source": "/shop",
        "type": "com.example.order.paid",
        "time": "2025-05-05T07:08:09Z",
        "sequence": 17,
        "sampled": True,
        "datacontenttype": "application/json",
        "data": {"total": 9.9},
    }


def test_binary_data_of_another_type_stay_bytes_even_if_they_look_like_json():
    fields = object_of(arrived(b"42", "text/csv", HEADERS))
    assert fields["datacontenttype"] == "text/csv"
    assert base64.b64decode(fields["data_base64"]) == b"42"


def test_what_an_incomplete_one_lacks_is_added_but_no_time():
    attributes, _ = in_binary(arrived(b"{}", None, {"ce-specversion": "1.0", "ce-source": "/shop"}))
    assert attributes == {"specversion": "1.0", "id": "0197", "source": "/shop", "type": "unknown"}


def test_a_compressed_structured_one_goes_on_compressed():
    body = gzip.compress(json.dumps(PAID).encode())
    built = built_by(build("cloudevents"), arrived(body, STRUCTURED, coding="gzip"))
    assert built == Body(body, STRUCTURED, "gzip")
    attributes, opened = in_binary(arrived(body, STRUCTURED, coding="gzip"))
    assert attributes["tenant"] == PAID["tenant"]
    assert (opened.content, opened.content_encoding) == (b'{"total":"9.90"}', None)


def test_the_event_object_has_base64_data_of_a_cloudevent_as_such():
    fields = {name: PAID[name] for name in ("specversion", "type", "source", "id")} | {"data_base64": "/w=="}
    made = json.loads(built_by(build("event"), arrived(json.dumps(fields).encode(), STRUCTURED)).content)
    assert made["data_base64"] == "/w=="
    assert "data" not in made


def test_header_values_are_encoded_as_the_specification_says():
    assert header_value("Euro € 😀") == "Euro%20%E2%82%AC%20%F0%9F%98%80"
    visible = "".join(map(chr, range(0x21, 0x7F)))
    assert header_value(visible) == visible.replace("%", "%25").replace('"', "%22")
    assert header_value("a\r\nX-Evil: 1") == "a%0D%0AX-Evil:%201"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_header_values_read_back(text):
    value = header_value(text)
    assert all("!" <= each <= "~" for each in value)
    assert unquote_to_bytes(value).decode() == text


NAMES = st.sampled_from(
    ["specversion", "id", "data", "data_base64", "datacontenttype", "a b", "x-y", "é", "time"]
)


@given(
    st.dictionaries(NAMES, ANYTHING),
    st.binary() | st.none(),
    st.sampled_from(["cloudevents", "json", "splynx"]),
)
def test_any_event_becomes_a_cloudevent_or_is_refused_for_good(fields, body, fmt):
    try:
        content = json.dumps(fields).encode() if body is None else body
    except (TypeError, ValueError):
        return
    headers = {f"ce-{name}": value for name, value in fields.items()}
    for sent in (
        event(content, fields, fmt=fmt),
        event(content, fields, STRUCTURED, fmt=fmt, headers=headers),
    ):
        for kind in ("cloudevents", "cloudevents-binary"):
            made = build(kind)(sent)
            if isinstance(made, Answer):
                assert made.lasting
            else:
                assert all(
                    "\r" not in value and "\n" not in value and value.isascii() for _, value in made.headers
                )
