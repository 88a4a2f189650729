"""CloudEvents and other messages of AMQP 1.0, as RabbitMQ's plugin handed them over (captured from 3.10.8, sent by Qpid Proton)."""

import base64
import contextlib
import json
import struct
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.bodies.body import raw
from bridge.codings.amqp10 import NoValue, section
from bridge.codings.inflating import plain_of
from bridge.core.delivery import Delivery
from bridge.core.event import Event, Message, Source
from bridge.formats.decoder import Decoder
from bridge.formats.registry import attributes_of, content_of
from bridge.wire.copies import read_copy, write_copy
from tests.support.publishers import decoded

CAPTURED: Any = json.loads((Path(__file__).parents[2] / "data/amqp10/rabbitmq-3.10.8.json").read_text())
ATTRIBUTES = {
    "specversion": "1.0",
    "type": "com.example.order.paid",
    "source": "/shop",
    "id": "A-1",
    "time": "2026-01-02T03:04:05Z",
    "subject": "order-7",
    "tenant": "acmé",
    "seq": 7,
}


def header(octets: bytes) -> str | bytes:
    """As the bridge reads a long string."""
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets


def captured(name: str) -> Message:
    found = CAPTURED[name]
    properties = dict(found["properties"])
    if "timestamp" in properties:
        properties["timestamp"] = datetime.fromtimestamp(properties["timestamp"], UTC)
    headers = {key: header(base64.b64decode(value)) for key, value in found["headers"].items()}
    return Message(base64.b64decode(found["body"]), "", "ce", headers, **properties)


def event_of(message: Message) -> Event:
    event = decoded(message).event
    assert isinstance(event, Event)
    return event


@pytest.mark.parametrize(
    "name", ["binary with colons", "binary with underscores", "text value", "binary value", "map value"]
)
def test_a_cloudevent_in_binary_mode_is_read(name):
    event = event_of(captured(name))
    assert (event.format, event.type, event.publisher_id) == (
        "cloudevents",
        "com.example.order.paid",
        "/shopA-1",
    )
    assert (event.data, event.data_fault) == ({"order": 7}, "")
    assert event.time == "2026-01-02T03:04:05Z"
    told = {"datacontenttype": event.message.content_type} if event.message.content_type else {}
    assert attributes_of(event) == ATTRIBUTES | told


def test_a_cloudevent_in_structured_mode_is_read():
    event = event_of(captured("structured"))
    assert (event.format, event.type, event.data) == ("cloudevents", "t.x", {"a": 1})


def test_rabbitmq_4_has_the_attributes_as_plain_headers():
    headers = {f"cloudEvents:{name}": value for name, value in ATTRIBUTES.items()}
    event = event_of(Message(b'{"order": 7}', "", "ce", headers, "application/json"))
    assert (event.type, event.data) == ("com.example.order.paid", {"order": 7})
    assert attributes_of(event)["tenant"] == "acmé"


@pytest.mark.parametrize(
    ("name", "told"), [("every kind", "order.paid"), ("nothing", "ce"), ("sequence", "ce")]
)
def test_the_type_is_never_the_plugins_marker(name, told):
    assert event_of(captured(name)).type == told


@pytest.mark.parametrize("marker", ["binary", "amqp-1.0"])
def test_a_marker_alone_is_no_type(marker):
    assert event_of(Message(b"{}", "", "orders", type=marker)).type == "orders"


@pytest.mark.parametrize(
    ("name", "data", "sent"),
    [
        ("text value", {"order": 7}, b'{"order": 7}'),
        ("binary value", {"order": 7}, b'{"order": 7}'),
        ("map value", {"order": 7}, b'{"order":7}'),
        ("sequence", [1, "two"], b'[1,"two"]'),
        (
            "nested map value",
            {"a": {"b": [1, 2.5, None, True, "2023-11-14T22:13:20Z"]}},
            b'{"a":{"b":[1,2.5,null,true,"2023-11-14T22:13:20Z"]}}',
        ),
    ],
)
def test_a_body_that_is_a_value_is_sent_and_read_as_what_it_holds(name, data, sent):
    event = event_of(captured(name))
    assert event.data == data
    assert (raw(event).content, raw(event).content_type) == (sent, "application/json")
    assert event.message.body == base64.b64decode(CAPTURED[name]["body"])


def test_application_properties_are_headers_of_every_kind():
    headers = event_of(captured("every kind")).message.headers
    assert {name: value for name, value in headers.items() if not name.startswith("x-amqp-1.0")} == {
        "text": "ž", "symbol": "s", "null": None, "true": True, "false": False, "small": 5, "negative": -5,
        "large": 2**40, "int": -70000, "uint": 70000, "ushort": 7, "short": -7, "ubyte": 7, "byte": -7,
        "ulong": 2**63, "double": 1.5, "char": "x", "at": "2023-11-14T22:13:20.123Z",
        "uuid": "12345678-1234-5678-1234-567812345678", "bytes": b"\x00\xff", "long text": "x" * 300,
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(CAPTURED))
def test_an_event_is_the_same_from_a_copy(name):
    event = event_of(captured(name))
    copied = Message(
        event.message.body,
        "",
        "crm",
        write_copy(Delivery("d", event, "crm")),
        event.message.content_type,
        type=event.message.type,
        correlation_id=event.message.correlation_id,
        timestamp=event.message.timestamp,
    )
    copy = read_copy(copied, content_of)
    assert isinstance(copy, Delivery)
    message = replace(
        copy.event.message, message_id=event.message.message_id
    )  # of a copy it is the publisher's id
    assert replace(copy.event, message=message) == event


def test_the_encoded_properties_go_where_both_forms_would_be_too_large():
    blob = _described(0x74, _map({"big": "x" * 60_000}))
    decoder = Decoder(Source(name="s", queue="q"), max_headers=100_000)
    message = Message(b"{}", headers={"x-amqp-1.0-app-properties": header(blob)})
    event = decoder.decode(message, new_id=lambda: "e", received_at=1.0).event
    assert isinstance(event, Event)
    assert list(event.message.headers) == ["big"]


def test_a_name_that_no_header_can_have_is_left_out():
    blob = _described(0x74, _map({"n" * 256: 1, "fits": 2}))
    event = event_of(Message(b"{}", headers={"x-amqp-1.0-app-properties": header(blob)}))
    assert event.message.headers["fits"] == 2
    assert len(event.message.headers) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00",
        b"\x00Sw",
        b"\x00Sw\xd0\xff\xff\xff\xff\x7f\xff\xff\xff",
        b'{"a":1}',
        b"\x00Sw" + b"\x00\x40" * 99 + b"\x40",
    ],
)
def test_a_body_that_is_no_section_has_no_data_and_says_so(body):
    event = event_of(Message(body, "", "q", type="amqp-1.0"))
    assert event.data_fault == "the body is labelled as a section of AMQP 1.0, and is none that can be read"
    assert raw(event).content == body


@given(st.binary(max_size=60))
@example(b"\x73\x00\x11\x00\x00")
@example(b"\x73\x00\x00\xd8\x00")
@example(b"\x83" + b"\xff" * 8)
@example(b"\x83\x7f" + b"\xff" * 7)
def test_no_bytes_make_it_raise_anything_else(octets):
    for body in (octets, b"\x00Sw" + octets):
        with contextlib.suppress(NoValue):
            section(body)
        made = decoded(Message(body, "", "q", {"x-amqp-1.0-app-properties": header(body)}, type="amqp-1.0"))
        assert made.events or made.refused
        plain_of(Message(body, type="amqp-1.0"), 1000)


@pytest.mark.timeout(5)
def test_a_small_body_of_four_billion_values_is_bounded():
    with pytest.raises(NoValue):
        section(b"\x00Sw\xf0" + struct.pack(">II", 5, 0xFFFFFFFF) + b"\x40")


def _described(code: int, value: bytes) -> bytes:
    return b"\x00\x53" + bytes([code]) + value


def _map(items: dict[str, Any]) -> bytes:
    inner = b"".join(
        _text(name) + (_text(each) if isinstance(each, str) else b"\x54" + bytes([each]))
        for name, each in items.items()
    )
    return b"\xd1" + struct.pack(">II", len(inner) + 4, 2 * len(items)) + inner


def _text(text: str) -> bytes:
    return b"\xb1" + struct.pack(">I", len(text.encode())) + text.encode()
