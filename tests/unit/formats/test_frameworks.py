"""MassTransit, NServiceBus, Spring and Laravel."""

from datetime import UTC, datetime

import pytest

from bridge.core.event import Message
from tests.support.publishers import event, facts, sent

PAID = "urn:message:Shop.Contracts:OrderPaid"
ENVELOPE = {"messageId": "m-7", "messageType": [PAID, "urn:message:Shop:Other"], "message": {"a": 1}}


@pytest.mark.parametrize(
    ("body", "properties"),
    [
        (ENVELOPE, {}),
        (ENVELOPE, {"content_type": "application/vnd.masstransit+json; charset=utf-8"}),
        (ENVELOPE | {"messageType": PAID}, {}),
        (ENVELOPE, {"headers": {"MT-MessageType": "urn:message:Other:Thing"}}),
    ],
)
def test_an_envelope_of_masstransit_is_read(body, properties):
    found = event(sent(body, **properties))
    assert facts(found) == ("masstransit", PAID, "m-7", None)
    assert found.data == {"a": 1}


def test_a_fault_of_masstransit_keeps_its_type():
    fault = "urn:message:MassTransit:Fault[[Shop.Contracts:OrderPaid]]"
    assert event(sent(ENVELOPE | {"messageType": [fault]})).type == fault


@pytest.mark.parametrize("types", [f"{PAID};urn:message:Shop:Other", f" {PAID} ; b", PAID.encode()])
def test_raw_json_of_masstransit_is_read_from_headers(types):
    headers = {"MT-MessageType": types, "MessageId": "m-8", "ConversationId": "c"}
    found = event(sent({"orderId": 17}, headers=headers, message_id="other"))
    assert facts(found) == ("masstransit", PAID, "m-8", None)
    assert found.data == {"orderId": 17}


@pytest.mark.parametrize("types", [[], [5], {}, None, 5])
def test_an_envelope_without_a_type_is_named_by_amqp(types):
    message = sent(
        ENVELOPE | {"messageType": types}, content_type="application/vnd.masstransit+json", routing_key="rk"
    )
    assert facts(event(message)) == ("masstransit", "rk", "m-7", None)


def test_a_message_type_that_is_no_urn_is_json():
    assert event(sent({"messageType": ["order"], "message": {}})).format == "json"


NSB = {
    "NServiceBus.MessageId": "nsb-1",
    "NServiceBus.MessageIntent": "Publish",
    "NServiceBus.TimeSent": "2025-05-05 07:08:09:123456 Z",
    "NServiceBus.EnclosedMessageTypes": (
        "Shop.Events.OrderPaid, Shop.Contracts, Version=1.0.0.0, Culture=neutral, PublicKeyToken=null;"
        "Shop.Events.IOrderEvent, Shop.Contracts"
    ),
}


def test_nservicebus_is_read_from_its_headers():
    found = event(Message(body=b'\xef\xbb\xbf{"OrderId":17}', headers=NSB, message_id="other"))
    assert facts(found) == ("nservicebus", "Shop.Events.OrderPaid", "nsb-1", "2025-05-05T07:08:09.123456Z")
    assert found.data == {"OrderId": 17}


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ("Shop.OrderPaid", "Shop.OrderPaid"),
        ("Shop.OrderPaid;Shop.IEvent", "Shop.OrderPaid"),
        (" Shop.OrderPaid , Shop", "Shop.OrderPaid"),
        (b"Shop.OrderPaid, Shop", "Shop.OrderPaid"),
        ("Shop.Batch`1[[Shop.Order, Shop, Version=1.0]], Shop", "Shop.Batch`1[[Shop.Order, Shop, Version=1.0]]"),
        (", ;", "rk"),
        (5, "5"),
        ({}, "rk"),
    ],
)  # fmt: skip
def test_the_type_of_nservicebus_is_the_first_class_without_its_assembly(types, expected):
    headers = NSB | {"NServiceBus.EnclosedMessageTypes": types}
    assert event(Message(body=b"<xml/>", headers=headers, routing_key="rk")).type == expected


@pytest.mark.parametrize(
    ("sent_at", "time"),
    [
        ("2025-05-05 07:08:09:000000 Z", "2025-05-05T07:08:09.000000Z"),
        ("2025-05-05T07:08:09.5Z", "2025-05-05T07:08:09.5Z"),
        ("yesterday", None),
        (None, None),
    ],
)
def test_the_time_of_nservicebus_need_not_be_its_own_way(sent_at, time):
    assert event(Message(body=b"", headers=NSB | {"NServiceBus.TimeSent": sent_at})).time == time


def test_without_its_id_the_message_id_is_the_publishers():
    headers = {"NServiceBus.EnclosedMessageTypes": "Shop.OrderPaid"}
    assert event(Message(body=b"", headers=headers, message_id="m")).publisher_id == "m"


def test_spring_amqp_tells_the_class_and_leaves_the_rest_to_amqp():
    message = sent(
        [{"orderId": 17}],
        headers={"__TypeId__": "java.util.ArrayList", "__ContentTypeId__": "com.shop.OrderPaid"},
        message_id="m",
        timestamp=datetime(2025, 5, 5, 7, 8, 9, tzinfo=UTC),
    )
    assert facts(event(message)) == ("spring", "java.util.ArrayList", "m", "2025-05-05T07:08:09Z")


@pytest.mark.parametrize(
    ("told", "time"),
    [
        (1746428889123, "2025-05-05T07:08:09.123Z"),
        (datetime(2025, 5, 5, 7, 8, 9, tzinfo=UTC), "2025-05-05T07:08:09Z"),
        ("2025-05-05T07:08:09Z", "2025-05-05T07:08:09Z"),
        (None, None),
        ([], None),
    ],
)
def test_spring_cloud_stream_tells_only_the_time(told, time):
    headers = {"contentType": "application/json", "id": "0a9f", "timestamp": told}
    found = event(sent({"a": 1}, headers=headers, routing_key="orders.paid"))
    assert facts(found) == ("spring", "orders.paid", None, time)
    assert event(sent({}, headers=headers, type="told", routing_key="orders.paid")).type == "told"


@pytest.mark.parametrize("headers", [{}, {"__TypeId__": "com.shop.OrderPaid"}])
@pytest.mark.parametrize("body", [b"\xac\xed\x00\x05sr", b'{"a":1}'])
def test_what_java_serialised_is_an_event_without_data(headers, body):
    message = Message(
        body=body, headers=headers, content_type="application/x-java-serialized-object", routing_key="rk"
    )
    found = event(message)
    assert (found.format, found.data) == ("spring", None)
    assert found.type == headers.get("__TypeId__", "rk")


def test_a_job_of_laravel_is_known_by_its_body_or_by_the_drivers_header():
    body = {"job": "SendMail@handle", "data": {"a": 1}, "uuid": "u", "id": "i"}
    assert event(sent(body, routing_key="default")).format == "json"
    found = event(sent(body, headers={"laravel": {"attempts": 2}}, routing_key="default"))
    assert facts(found) == ("laravel", "SendMail@handle", None, None)
    assert found.data == {"a": 1}
    named = event(sent(body | {"displayName": "App\\Jobs\\SendMail"}))
    assert facts(named) == ("laravel", "App\\Jobs\\SendMail", None, None)


def test_a_job_goes_by_the_message_id_and_never_by_its_own():
    body = {"job": "j", "displayName": "App\\J", "uuid": "u", "id": "i", "data": []}
    assert event(sent(body, message_id="m")).publisher_id == "m"


@pytest.mark.parametrize("headers", [{"laravel": "x"}, {"laravel": {"attempts": 0}}])
def test_the_drivers_header_without_a_job_says_nothing(headers):
    assert event(sent({"a": 1}, headers=headers)).format == "json"
