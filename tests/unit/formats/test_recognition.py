"""Which format `auto` takes: its order of precedence, and what it leaves alone."""

from datetime import UTC, datetime

import pytest

from bridge.core.event import Message
from bridge.formats.parse import parse
from bridge.formats.registry import recognise
from tests.support.publishers import event, facts, sent

SPLYNX = {"type": "", "call": "", "data": {"model": "models\\admin\\A", "action": "create"}}
PHLIX = {"event_type": "alert", "payload": {}, "occurred_at": "2025-06-01T18:30:00+00:00"}
PLINQX = {"event": "tool.called", "timestamp": "2025-05-05T07:08:09Z", "data": {}}
COCKPIT = {"event": "forms.save.after", "hook": "h", "backend": 0, "args": []}
CLOUD = {"specversion": "1.0", "type": "t", "source": "/s", "id": "1"}
CELERY = {"task": "t", "id": "1", "args": [], "kwargs": {}}
OSLO = {"event_type": "e", "publisher_id": "p", "payload": {}, "message_id": "m"}
DEBEZIUM = {"op": "c", "source": {"table": "t"}}
GITLAB = {"object_kind": "push"}
LARAVEL = {"job": "j", "displayName": "J"}
MASSTRANSIT = {"messageType": ["urn:message:A:B"], "message": {}}

BINARY = {"ce-specversion": "1.0", "ce-type": "t"}
TASK = {"task": "t", "id": "1"}
MT = {"MT-MessageType": "urn:message:A:B"}
NSB = {"NServiceBus.EnclosedMessageTypes": "A"}
HOOK = {"X-Gitlab-Event": "Push Hook"}
TYPE_ID = {"__TypeId__": "com.A"}


def recognised(body: object, **properties) -> str:
    message = sent(body, **properties)
    return recognise(parse(message.body), message)


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"content_type": "application/cloudevents+json", "app_id": "Keycloak"}, "cloudevents"),
        ({"content_type": "application/cloudevents+json", "headers": NSB}, "cloudevents"),
        ({"content_type": "application/vnd.masstransit+json", "headers": BINARY}, "masstransit"),
        ({"content_type": "application/x-java-serialized-object", "headers": TASK}, "spring"),
        ({"app_id": "Keycloak", "headers": TYPE_ID}, "keycloak"),
        ({"routing_key": "KK.EVENT.ADMIN.a", "headers": TYPE_ID}, "keycloak"),
        ({"exchange": "celeryev", "headers": TYPE_ID}, "celery"),
        ({"headers": BINARY | TASK | MT | NSB | HOOK | TYPE_ID}, "cloudevents"),
        ({"headers": TASK | MT | TYPE_ID}, "celery"),
        ({"headers": MT | NSB | TYPE_ID}, "masstransit"),
        ({"headers": NSB | HOOK | TYPE_ID}, "nservicebus"),
        ({"headers": HOOK | TYPE_ID}, "gitlab"),
        ({"headers": TYPE_ID}, "spring"),
        ({"content_type": "application/json", "headers": {"x-death": []}}, "celery"),
        ({"content_type": "text/plain"}, "celery"),
    ],
)
def test_properties_come_before_headers_and_headers_before_the_body(properties, expected):
    assert recognised(CELERY, **properties) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (CLOUD | CELERY | GITLAB, "cloudevents"),
        (CELERY | LARAVEL | GITLAB, "celery"),
        (MASSTRANSIT | SPLYNX, "masstransit"),
        (LARAVEL | PHLIX, "laravel"),
        (OSLO | PHLIX, "oslo"),
        (DEBEZIUM | PLINQX, "debezium"),
        (GITLAB | COCKPIT, "gitlab"),
        (SPLYNX | PHLIX, "splynx"),
        (PHLIX | PLINQX | COCKPIT, "phlix"),
        (PLINQX | COCKPIT, "plinqx"),
        (COCKPIT, "cockpit"),
    ],
)
def test_a_key_of_one_publisher_comes_before_the_systems(body, expected):
    assert recognised(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        {"event": "x", "data": {}},
        {"event": "x", "data": {}, "timestamp": 1746428889},
        {"event": 5, "data": {}, "timestamp": "2025-05-05T07:08:09Z"},
        {"event_type": "x", "payload": {}},
        {"event_type": "x", "payload": {}, "timestamp": "2025-05-05T07:08:09Z"},
        {"event_type": "x", "payload": {}, "event_id": 1},
        {"event_type": None, "payload": {}, "occurred_at": "2025-05-05T07:08:09Z"},
        {"event": "x", "hook": "h", "args": []},
        {"event": "x", "hook": "h", "backend": 0, "args": {}},
        {"type": "t", "source": "/s", "id": "1", "data": {}},
        {"type": "", "call": "", "data": {}},
        {"type": "x", "call": "y", "data": {"model": 5}},
        {"data": {"model": "T-34"}},
        {"job": "j"},
        {"op": "c", "payload": {"a": 1}},
        [],
        [[], {}],
        [{}, {}],
        "text",
        5,
        None,
    ],
)
@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/json", "type": "t", "id": 5}])
def test_what_is_not_clearly_somebodys_is_json(body, headers):
    assert recognised(body, headers=headers) == "json"


@pytest.mark.parametrize(
    ("body", "time"),
    [
        ({"timestamp": "2025-05-05T09:08:09+02:00"}, "2025-05-05T07:08:09Z"),
        ({"time": 1746428889}, "2025-05-05T07:08:09Z"),
        ({"occurred_at": 1746428889123}, "2025-05-05T07:08:09.123Z"),
        ({"created_at": "2025-05-05 09:08:09"}, "2025-05-05T07:08:09Z"),
        ({"date": "2025-05-05", "time": "09:08:09"}, "2025-05-05T07:08:09Z"),
        ({"timestamp": "soon", "created_at": 1746428889}, "2025-05-05T07:08:09Z"),
        ({"timestamp": 17, "time": True}, None),
        ({"date": "2025-05-05"}, None),
        ({"date": 20250505, "time": "09:08:09"}, None),
        ({"data": {"timestamp": 1746428889}}, None),
        ([1746428889], None),
    ],
)
def test_the_time_of_plain_json_is_told_by_usual_keys(body, time):
    assert facts(event(sent(body), timezone="Europe/Prague")) == ("json", "unknown", None, time)


def test_amqp_knows_the_time_better_than_a_plain_body():
    message = sent({"timestamp": "1999-01-01T00:00:00Z"}, timestamp=datetime(2025, 5, 5, 7, 8, 9, tzinfo=UTC))
    assert event(message).time == "2025-05-05T07:08:09Z"


def test_rabbitmqs_own_events_have_their_milliseconds_in_a_header():
    message = Message(
        body=b"",
        exchange="amq.rabbitmq.event",
        routing_key="queue.created",
        headers={"name": "hooks2", "timestamp_in_ms": 1746428889123},
    )
    assert facts(event(message)) == ("json", "queue.created", None, "2025-05-05T07:08:09.123Z")


NEST = {"pattern": "order.created", "data": {"id": 7}}
MESSENGER = {"type": "App\\Message\\OrderPaid"}
STANDARD = {"type": "invoice.paid", "timestamp": "2022-11-03T20:26:10.344522Z", "data": {"id": "i"}}
DRAMATIQ = {
    "queue_name": "default", "actor_name": "send_mail", "args": [1], "kwargs": {"to": "x"}, "options": {},
    "message_id": "m-1", "message_timestamp": 1746428889123,
}  # fmt: skip


@pytest.mark.parametrize(
    ("message", "expected", "data"),
    [
        (sent(NEST), ("nestjs", "order.created", None, None), {"id": 7}),
        (sent(NEST | {"id": "r-1"}), ("nestjs", "order.created", "r-1", None), {"id": 7}),
        (sent(NEST | {"pattern": {"cmd": "sum"}, "data": [1]}), ("nestjs", '{"cmd":"sum"}', None, None), [1]),
        (sent({"n": 1}, headers=MESSENGER), ("symfony", "App\\Message\\OrderPaid", None, None), {"n": 1}),
        (
            sent({"n": 1}, headers={"type": "OrderPaid", "X-Message-Stamp-Symfony\\X": "[{}]"}),
            ("symfony", "OrderPaid", None, None),
            {"n": 1},
        ),
        (sent(STANDARD), ("standard", "invoice.paid", None, "2022-11-03T20:26:10.344522Z"), {"id": "i"}),
        (
            sent(DRAMATIQ),
            ("dramatiq", "send_mail", "m-1", "2025-05-05T07:08:09.123Z"),
            {"args": [1], "kwargs": {"to": "x"}},
        ),
    ],
)
def test_frameworks_that_put_the_type_elsewhere_are_known(message, expected, data):
    found = event(message)
    assert (facts(found), found.data) == (expected, data)


@pytest.mark.parametrize(
    "body",
    [
        {"pattern": "x", "data": 1, "more": 1},
        {"pattern": "x"},
        {"pattern": "", "data": 1},
        {"pattern": 1, "data": 1},
        {"type": "a.b", "timestamp": "yesterday", "data": {}},
        {"type": "a.b", "timestamp": 1746428889, "data": {}},
        {"type": "a b", "timestamp": "2025-05-05T07:08:09Z", "data": {}},
        {"type": "a.b", "timestamp": "2025-05-05T07:08:09Z", "data": []},
        {"actor_name": "x"},
    ],
)
def test_what_only_looks_like_theirs_is_anybodys(body):
    assert recognised(body) == "json"


def test_a_header_type_alone_is_anybodys():
    assert recognised({"n": 1}, headers={"type": "order"}) == "json"


def test_systems_come_before_the_payload_of_standard_webhooks():
    assert recognised(SPLYNX | {"timestamp": "2025-05-05T07:08:09Z"}) == "splynx"
    assert recognised(STANDARD | {"specversion": "1.0", "source": "s", "id": "1"}) == "cloudevents"
