"""Messages become events."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.event import Event, Message, Source, Undecodable
from bridge.formats.decoder import Decoder
from bridge.formats.registry import FORMATS
from bridge.formats.text import MAX_TYPE_BYTES
from tests.support.publishers import FOLDER

SAMPLES = FOLDER / "splynx"


def decoder(form: str = "auto", timezone: str = "UTC", **limits: Any) -> Decoder:
    source = Source.model_validate({"name": "crm", "queue": "hooks2", "format": form, "timezone": timezone})
    return Decoder(source, **limits)


def ids(*given: str) -> Callable[[], str]:
    return iter(given).__next__


def decode(message: Message, form: str = "auto", timezone: str = "UTC") -> Event:
    event = decoder(form, timezone).decode(message, new_id=lambda: "0197", received_at=1.5).event
    assert isinstance(event, Event)
    return event


def sample(name: str, **properties) -> Event:
    message = Message(body=(SAMPLES / f"{name}.json").read_bytes(), routing_key="hooks2", **properties)
    return decode(message, timezone="Europe/Prague")


def splynx(form: str = "auto", timezone: str = "UTC", **inner: object) -> Event:
    body = {"type": "", "call": "", "data": {"model": "models\\admin\\x\\Y", "action": "z"} | inner}
    return decode(Message(body=json.dumps(body).encode()), form, timezone)


@pytest.mark.parametrize(
    ("name", "event_type"),
    [
        ("queue_customer_create", "customers.customer.create"),
        ("queue_get_list_empty_type", "administration.partners.get_list"),
        ("webhook_event_customer_create", "customers.customer.create"),
        ("webhook_event_customer_update_unicode", "customers.customer.update"),
        ("nasty_missing_optional_fields", "administration.locations.delete"),
        ("nasty_bigint_float_edge", "finance.payments.create"),
        ("nasty_deep_nesting", "admin.x.update"),
    ],
)
def test_a_splynx_event_is_recognised_and_named_by_model_and_action(name, event_type):
    event = sample(name)
    assert event.format == "splynx"
    assert event.type == event_type


def test_data_of_splynx_is_the_inner_object_and_time_is_in_utc():
    event = sample("queue_customer_create")
    assert event.data["attributes"]["id"] == "4711"
    assert event.data["result"] == "success"
    assert event.time == "2025-03-14T08:26:53Z"


def test_numbers_of_a_sample_are_not_rounded():
    attributes = sample("nasty_bigint_float_edge").data["attributes"]
    assert attributes["id"] == 9007199254740993
    assert attributes["beyond_int64"] == 18446744073709551616


def test_the_body_stays_the_bytes_that_came():
    body = (SAMPLES / "webhook_event_customer_update_unicode.json").read_bytes()
    assert sample("webhook_event_customer_update_unicode").message.body == body


@pytest.mark.parametrize("text", json.loads((SAMPLES / "nasty_non_object_roots.json").read_text())[1:])
@pytest.mark.parametrize("form", ["auto", *FORMATS])
def test_a_body_that_is_no_event_object_is_an_event_all_the_same(text, form):
    event = decode(Message(body=text.encode(), routing_key="hooks2"), form)
    told = ("hooks2", "event") if form == "standard" else ("hooks2", "x")
    assert event.type in told


@pytest.mark.parametrize(
    ("inner", "event_type"),
    [
        ({"model": "models\\admin\\administration\\Locations", "action": "get_list"},
         "administration.locations.get_list"),
        ({"model": "\\models\\Tickets", "action": "create"}, "models.tickets.create"),
        ({"model": "Customer", "action": "create"}, "customer.create"),
        ({"model": "a\\Customer", "action": ""}, "a.customer"),
        ({"model": "a\\Customer", "action": None}, "a.customer"),
        ({"model": "a\\Customer", "action": 5}, "a.customer"),
        ({"model": "a\\", "action": "save"}, "a.save"),
    ],
)  # fmt: skip
def test_the_type_of_splynx_takes_what_there_is(inner, event_type):
    assert splynx("splynx", **inner).type == event_type


@pytest.mark.parametrize(
    ("body", "properties", "event_type"),
    [
        ({"type": "event", "call": "tickets/ticket/update", "data": {}}, {}, "tickets.ticket.update"),
        ({"type": "event", "call": "customer/create"}, {"type": "other"}, "customer.create"),
        ({"type": "ping"}, {}, "ping"),
        ({"type": "event"}, {"type": "told.by.amqp"}, "told.by.amqp"),
        ({"type": "", "call": ""}, {}, "hooks2"),
        ({"type": 1, "call": [], "data": "text"}, {}, "hooks2"),
        ({"model": "a\\B", "action": "flat"}, {}, "a.b.flat"),
    ],
)
def test_without_a_model_the_call_then_the_type_then_amqp_name_a_splynx_event(body, properties, event_type):
    message = Message(body=json.dumps(body).encode(), routing_key="hooks2", **properties)
    assert decode(message, "splynx").type == event_type


def test_an_empty_php_array_in_place_of_data_is_given_as_it_is():
    body = b'{"type":"event","call":"customer/delete","data":[]}'
    assert decode(Message(body=body), "splynx").data == []


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"model": "T-34"}},
        {"data": {"model": 5, "action": "x"}},
        {"type": "event", "call": "x", "data": []},
        {"type": "ping"},
        [{"data": {"model": "a\\b"}}],
    ],
)
def test_what_is_not_clearly_splynx_is_json(body):
    event = decode(Message(body=json.dumps(body).encode()))
    assert event.format == "json"
    assert event.data == body


@pytest.mark.parametrize(
    ("message", "event_type"),
    [
        (Message(body=b'{"type":"in.body","id":"7"}', type="t", routing_key="rk"), "t"),
        (Message(body=b'{"type":"in.body"}', type="", routing_key="rk"), "rk"),
        (Message(body=b"{}", type=" \x00", routing_key="rk"), "\ufffd"),
        (Message(body=b"{}", type=" \n ", routing_key="  "), "unknown"),
        (Message(body=b""), "unknown"),
    ],
)
def test_the_type_of_plain_json_is_told_by_amqp_alone(message, event_type):
    assert decode(message).type == event_type


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        ("2025-03-30", "02:30:00", "2025-03-30T01:30:00Z"),  # skipped: read with the offset before
        ("2025-10-26", "02:30:00", "2025-10-26T00:30:00Z"),  # twice: the first
        ("2025-07-01", "00:00:00", "2025-06-30T22:00:00Z"),
        ("2025-07-01", "00:00:00.25", "2025-06-30T22:00:00.250000Z"),
        ("2025-07-01", "10:00:00+00:00", "2025-07-01T10:00:00Z"),
        ("2025-07-01", "10:00", "2025-07-01T08:00:00Z"),
        ("0000-00-00", "00:00:00", None),
        ("2025-02-29", "00:00:00", None),
        ("2025-07-01", "25:00:00", None),
        ("0001-01-01", "00:00:00", None),
        ("9999-12-31", "23:59:59-12:00", None),
        ("2025-07-01", "", None),
        ("", "10:00:00", None),
        ("2025-07-01", None, None),
        (20250701, 100000, None),
        ("x" * 100_000, "10:00:00", None),
    ],
)
def test_local_times_become_utc_and_what_is_no_time_is_none(date, time, expected):
    assert splynx(timezone="Europe/Prague", date=date, time=time).time == expected


@pytest.mark.parametrize(
    "moment", [datetime(2025, 3, 14, 8, 26, 53, tzinfo=UTC), datetime(2025, 3, 14, 8, 26, 53)]  # noqa: DTZ001
)  # fmt: skip
def test_without_a_time_of_the_format_amqp_tells_it(moment):
    assert decode(Message(body=b"{}", timestamp=moment)).time == "2025-03-14T08:26:53Z"
    assert sample("queue_customer_create", timestamp=datetime(1999, 1, 1, tzinfo=UTC)).time == (
        "2025-03-14T08:26:53Z"
    )


def test_the_publishers_id_is_amqps_and_never_a_key_of_the_body():
    body = b'{"id":"4711","event_id":"1","message_id":"2"}'
    assert decode(Message(body=body)).publisher_id is None
    assert decode(Message(body=body, message_id="")).publisher_id is None
    assert decode(Message(body=body, message_id="m-1")).publisher_id == "m-1"


def test_the_webhook_id_is_the_events_own_without_a_publishers_id():
    assert decode(Message(body=b"{}")).webhook_id == "0197"


def test_the_webhook_id_survives_a_redelivery():
    first, again = (
        decoder()
        .decode(Message(body=b"{}", message_id="m", redelivered=late), new_id=ids(str(late)), received_at=0)
        .event
        for late in (False, True)
    )
    assert isinstance(first, Event)
    assert isinstance(again, Event)
    assert first.id != again.id
    assert first.webhook_id == again.webhook_id


def test_the_rest_of_an_event_is_what_was_handed_in():
    event = decode(Message(body=b"{}"))
    assert (event.id, event.source, event.received_at, event.identity) == ("0197", "crm", 1.5, None)


def test_headers_over_the_limit_make_it_undecodable():
    headers = {"a": {"b": ["x" * 990]}}
    message = Message(body=b"{}", headers=headers)
    [refused] = decoder(max_headers=1000).decode(message, new_id=ids("1"), received_at=0).refused
    assert (refused.why.reason, refused.message) == ("headers_too_large", message)
    assert decoder(max_headers=1100).decode(message, new_id=ids("1"), received_at=0).event


def test_a_body_over_the_limit_is_undecodable():
    [refused] = decoder(max_body=9).decode(Message(body=b"1" * 10), new_id=ids("1"), received_at=0).refused
    assert refused.why == Undecodable("body_too_large", "the body has 10 bytes, the limit is 9")
    assert decoder(max_body=10).decode(Message(body=b"1" * 10), new_id=ids("1"), received_at=0).event


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "call", "data", "model", "action", "date", "time"])
            | st.text(max_size=3),
            inner,
            max_size=6,
        )
    ),
    max_leaves=15,
)


@given(anything, st.sampled_from(["auto", *FORMATS]), st.none() | st.text(st.characters(codec=None)))
def test_no_message_raises_and_every_type_fits(value, form, told):
    message = Message(body=json.dumps(value).encode(), type=told, message_id=told, routing_key="q")
    event = decode(message, form, "America/New_York")
    assert 0 < len(event.type.encode()) <= MAX_TYPE_BYTES
    assert not any(ord(character) < 32 for character in event.type)
    event.webhook_id.encode()
