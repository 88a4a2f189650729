"""What is delivered from a lane is what would have been delivered at once."""

import json
from dataclasses import replace
from typing import Any

import pytest
from pamqp import decode, encode

from bridge.bodies.body import script_input
from bridge.core.delivery import Delivery
from bridge.core.event import Event, Message, Source
from bridge.formats.decoder import Decoder
from bridge.formats.registry import content_of
from bridge.wire.copies import read_copy, write_copy
from tests.support.bodies import SPLYNX, build

CLOUDEVENT = {"specversion": "1.0", "type": "t", "source": "/s", "id": "1", "data_base64": "/w=="}
MESSAGES = {
    "splynx": Message((SPLYNX / "queue_customer_create.json").read_bytes(), routing_key="hooks2"),
    "phlix": Message(b'{"event_type":"a.b","payload":{"x":1},"occurred_at":"2025-06-01T18:30:00+00:00"}'),
    "plain": Message(b'{"a":123456789012345678901234567890,"b":"\\ud83d"}', message_id="m1"),
    "bytes": Message(b"\xff\x00", content_type="image/png"),
    "empty": Message(b""),
    "structured": Message(json.dumps(CLOUDEVENT).encode(), content_type="application/cloudevents+json"),
    "binary": Message(
        b'{"a":1}', headers={"cloudEvents:specversion": "1.0", "cloudEvents:id": "7", "ce-id": "8", "h": "x"}
    ),
}
KINDS = ["raw", "event", "data", "form", "cloudevents", "cloudevents-binary", None]
TEMPLATE = (
    "{'d': event.data, 'h': event.headers, 'at': event.received_at, 't': event.time, 'i': event.identity}"
)


def arrived(message: Message) -> Event:
    made = (
        Decoder(Source(name="s", queue="s"))
        .decode(message, new_id=lambda: "0197", received_at=1741940813.1234567)
        .event
    )
    assert isinstance(made, Event)
    return made


def from_lane(event: Event) -> Event:
    headers: Any = write_copy(Delivery(id="d1", event=event, hook="crm"))
    _, headers = decode.field_table(encode.field_table(headers))  # which sorts
    copy = read_copy(replace(event.message, exchange="", routing_key="crm", headers=headers), content_of)
    assert isinstance(copy, Delivery)
    return copy.event


@pytest.mark.parametrize("name", MESSAGES)
def test_every_body_is_the_same(name):
    event = arrived(MESSAGES[name])
    copy = from_lane(event)
    for profile in ("standard", "splynx", "phlix", "plinqx", "cockpit"):
        for kind in KINDS:
            make = build(kind, profile)
            assert make(copy) == make(event)
    make = build("template", template=TEMPLATE)
    assert make(copy) == make(event)


@pytest.mark.parametrize("name", MESSAGES)
def test_every_script_reads_the_same(name):
    event = arrived(MESSAGES[name])
    for kind in ("data", "body", "event"):
        read = script_input(kind)
        assert read(from_lane(event)) == read(event)


def test_a_script_reads_one_line_with_the_inner_data_of_splynx():
    line = script_input("data")(from_lane(arrived(MESSAGES["splynx"])))
    assert line == (SPLYNX / "script_stdin_flat_customer_create.json").read_bytes().rstrip(b"\n") + b"\n"
