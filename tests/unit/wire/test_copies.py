"""What a copy carries, and that nobody can tell an event out of it from the one that came directly."""

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.delivery import Delivery, TraceContext
from bridge.core.event import Event, Message, Source, Undecodable
from bridge.formats.decoder import Decoder
from bridge.formats.parse import Bounds
from bridge.formats.registry import content_of
from bridge.formats.text import table_size
from bridge.wire.copies import clean_headers, read_copy, with_visible_headers, write_copy

SPLYNX = {"type": "", "call": "", "data": {"model": "models\\admin\\x\\Y", "action": "z", "data": {"n": 1}}}
DEATHS = {
    "x-death": [
        {
            "queue": "hooks2",
            "reason": "expired",
            "count": 1,
            "time": datetime(2025, 5, 5, 7, 8, 9, tzinfo=UTC),
            "routing-keys": ["hooks2"],
        }
    ],
    "x-first-death-queue": "hooks2",
    "x-first-death-reason": "expired",
    "x-last-death-exchange": "",
}


def decoded(message: Message, form: str = "auto", *, received_at: float = 1.5, **options: Any) -> Event:
    source = Source.model_validate({"name": "crm", "queue": "hooks2", "format": form})
    event = Decoder(source, **options).decode(message, new_id=lambda: "0197", received_at=received_at).event
    assert isinstance(event, Event)
    return event


def through_a_lane(event: Event, **fields: Any) -> Event:
    headers = write_copy(Delivery("d", event, "crm", **fields))
    copy = read_copy(replace(event.message, exchange="", routing_key="crm", headers=headers), content_of)
    assert isinstance(copy, Delivery)
    return copy.event


@pytest.mark.parametrize("provisional", [True, False])
def test_a_copy_tells_whether_it_is_to_be_matched_once_more(provisional: bool):
    event = decoded(Message(b"{}"))
    headers = write_copy(Delivery("d", event, "crm", provisional=provisional))
    copy = read_copy(replace(event.message, headers=headers), content_of)
    assert isinstance(copy, Delivery)
    assert copy.provisional is provisional


@pytest.mark.parametrize(
    "headers", [{}, {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "tracestate": "x=1"}]
)
@pytest.mark.parametrize("state", ["", "a=1,b=2"])
def test_a_copy_carries_the_trace_of_the_span_that_parked_it_beside_the_publishers(
    headers: dict[str, str], state: str
):
    event = decoded(Message(b"{}", headers=headers))
    trace = TraceContext(f"00-{'a' * 32}-{'b' * 16}-01", state)
    for own in (trace, None):
        written = write_copy(Delivery("d", event, "crm", trace=own))
        copy = read_copy(replace(event.message, headers=written), content_of)
        assert isinstance(copy, Delivery)
        assert copy.trace == own
        assert copy.event.message.headers == headers


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (json.dumps(SPLYNX).encode(), "auto"),
        (json.dumps(SPLYNX).encode(), "splynx"),
        (json.dumps(SPLYNX).encode(), "json"),
        (b'{"type":"ping"}', "splynx"),
        (b"no json", "splynx"),
        (b"", "auto"),
        (b"[1,2]", "auto"),
        (b'{"n":123456789012345678901234567890}', "json"),
    ],
)
def test_an_event_out_of_a_copy_is_the_one_that_came_directly(body, form):
    event = decoded(Message(body, routing_key="hooks2", headers={"a": 1, **DEATHS}, message_id="m"), form)
    assert through_a_lane(event) == event


@given(st.floats(1e9, 4e9))
def test_an_event_out_of_a_copy_was_received_when_it_came_directly(received_at):
    event = decoded(Message(b"{}"), received_at=received_at)
    assert through_a_lane(event) == event
    assert event.received_at == pytest.approx(received_at, abs=0.0011, rel=0)


def test_data_of_a_compressed_body_is_the_same_from_a_copy():
    body = gzip.compress(json.dumps(SPLYNX).encode())
    event = decoded(Message(body, content_encoding="gzip"))
    assert event.data == SPLYNX["data"]
    assert event.message.body == body
    assert event.format == "splynx"
    assert through_a_lane(event) == event


def test_a_compressed_body_over_the_limit_has_no_data():
    event = decoded(Message(gzip.compress(b" " * 2000 + b"{}"), content_encoding="gzip"), bounds=Bounds(1000))
    assert event.data is None
    assert decoded(Message(b"{}", content_encoding="utf-8"), bounds=Bounds(1000)).data == {}


def test_a_copy_in_a_format_of_another_version_is_read():
    event = replace(decoded(Message(b'{"data":{"a":1}}')), format="of-tomorrow")
    assert through_a_lane(event).data == {"data": {"a": 1}}


def test_where_a_message_died_before_stays_known_but_not_where_the_broker_looks():
    event = decoded(Message(b"{}", headers={"own": "yes", **DEATHS}))
    assert dict(event.message.headers) == {"own": "yes", **DEATHS}
    copy = write_copy(Delivery("d", event, "crm"))
    assert not [name for name in copy if "death" in name]
    assert dict(through_a_lane(event).message.headers) == {"own": "yes", **DEATHS}
    assert clean_headers(event.message.headers) == {"own": "yes"}


def test_what_routes_again_and_what_is_ours_is_no_header_of_an_event():
    message = Message(
        b"{}",
        headers={"CC": ["q"], "BCC": ["q"], "x-bridge-delivery": "forged", "x-bridge-hops": 2, "own": 1},
    )
    event = decoded(message)
    assert dict(event.message.headers) == {"own": 1, "x-bridge-hops": 2}
    assert through_a_lane(event) == event


def test_a_message_with_nothing_to_hide_stays_the_same_object():
    message = Message(b"{}", headers={"own": 1, **DEATHS})
    assert with_visible_headers(message) is message


def test_how_often_its_queue_delivered_it_stays_behind():
    event = decoded(Message(b"{}", headers={"x-delivery-count": 3}))
    assert dict(event.message.headers) == {"x-delivery-count": 3}
    assert dict(through_a_lane(event).message.headers) == {}


def test_the_largest_headers_and_ids_still_fit_in_a_copy():
    headers = {"x": "v" * 99_900, "x-death": [{"count": 1}]}
    message = Message(b"{}", headers=headers, exchange="é" * 127, routing_key="é" * 127, message_id="m" * 255)
    event = replace(decoded(message), type="t" * 255, identity="i" * 255)
    copy = write_copy(Delivery("d", event, "h" * 64, error="e" * 5000, done=("ab" * 16,) * 20))
    assert table_size(copy) < 120_000
    assert through_a_lane(event) == event


def test_a_delivery_out_of_a_copy_is_the_one_that_was_sent_there():
    event = decoded(Message(b"{}", routing_key="hooks2"))
    sent = Delivery(
        "d", event, "crm", 2, 5, retries=3, not_before=1.25, waits_from=0.5, error="503", done=("a1", "b2")
    )
    copy = read_copy(replace(event.message, headers=write_copy(sent)), content_of)
    assert copy == sent


@pytest.mark.parametrize("name", ["delivery", "event", "hook", "generation", "received", "format"])
def test_a_message_that_lacks_what_a_copy_has_is_none(name):
    headers = write_copy(Delivery("d", decoded(Message(b"{}")), "crm"))
    del headers[f"x-bridge-{name}"]
    fault = read_copy(Message(b"{}", headers=headers), content_of)
    assert isinstance(fault, Undecodable)
    assert fault.reason == "not_a_copy"


@pytest.mark.parametrize("restarted_at", [0.0, 1_746_428_889.25])
def test_a_copy_carries_when_its_delivery_was_started_anew(restarted_at):
    delivery = Delivery(
        "d", decoded(Message(b"{}")), "crm", generation=3, attempt=4, restarted_at=restarted_at
    )

    copy = read_copy(Message(b"{}", headers=write_copy(delivery)), content_of)

    assert isinstance(copy, Delivery)
    assert (copy.generation, copy.attempt, copy.restarted_at) == (3, 4, restarted_at)
