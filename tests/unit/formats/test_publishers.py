"""What publishers send is recognised, named, timed, and taken apart."""

import json
from typing import get_args

import pytest

from bridge.core.event import FormatName, Message
from bridge.formats.registry import FORMATS
from tests.support.publishers import FOLDER, event, facts, message

MINUTE = "2025-05-05T07:08:09"
AT = MINUTE + "Z"
PUBLISHERS = [
    ("celery_event", ("celery", "task-succeeded", None, MINUTE + ".101747Z")),
    ("celery_task_v2", ("celery", "shop.tasks.ship", None, None)),
    ("cloudevents_binary", ("cloudevents", "com.example.order.paid", "/shopA234", AT)),
    ("cloudevents_structured", ("cloudevents", "com.example.order.paid", "/shopA236", AT)),
    ("cloudevents_structured_base64", ("cloudevents", "com.example.blob", "/shopA237", None)),
    ("dead_lettered_once", ("json", "hooks2", "m-1", None)),
    ("debezium_schema_payload", ("debezium", "public.orders.c", None, MINUTE + ".123Z")),
    ("gitlab_push", ("gitlab", "push", None, None)),
    (
        "keycloak_admin_event",
        ("keycloak", "KK.EVENT.ADMIN.SHOP.SUCCESS.USER.UPDATE", None, MINUTE + ".123Z"),
    ),
    ("laravel_job", ("laravel", "App\\Jobs\\ShipOrder", None, None)),
    (
        "masstransit_envelope",
        (
            "masstransit",
            "urn:message:Shop.Contracts:OrderPaid",
            "181c0000-6393-3630-36a4-08daf4e7c6da",
            MINUTE + ".1234567Z",
        ),
    ),
    ("rabbitmq_event_exchange", ("json", "queue.created", None, AT)),
    ("spring_amqp_json", ("spring", "com.shop.events.OrderPaid", None, None)),
]
SYSTEMS = [
    (system, path)
    for system in ("phlix", "plinqx", "cockpit")
    for path in sorted((FOLDER / system).glob("*.json"))
    if not path.name.startswith("v2_")
]


def test_every_sample_is_looked_at():
    assert {path.stem for path in FOLDER.glob("*.json")} == {name for name, _ in PUBLISHERS}


def test_every_format_that_a_source_may_have_is_there():
    assert {"auto", *FORMATS} == set(get_args(FormatName))


@pytest.mark.parametrize(("name", "expected"), PUBLISHERS)
def test_a_publisher_is_recognised_and_read(name, expected):
    assert facts(event(message(name))) == expected


@pytest.mark.parametrize(("name", "expected"), PUBLISHERS)
def test_a_format_that_is_fixed_reads_the_same(name, expected):
    assert facts(event(message(name), expected[0])) == expected
    assert event(message(name), expected[0]).data == event(message(name)).data


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("celery_task_v2", {"args": [17], "kwargs": {"express": True}}),
        ("cloudevents_binary", {"total": "9.90"}),
        ("cloudevents_structured", {"total": "9.90"}),
        ("cloudevents_structured_base64", "iVBORw0KGgo="),
        ("masstransit_envelope", {"orderId": 17, "total": 9.9}),
        ("spring_amqp_json", {"orderId": 17}),
        ("rabbitmq_event_exchange", None),
    ],
)
def test_data_are_what_the_envelope_holds(name, data):
    assert event(message(name)).data == data


@pytest.mark.parametrize(
    "name", ["celery_event", "gitlab_push", "keycloak_admin_event", "dead_lettered_once"]
)
def test_where_there_is_no_envelope_data_are_the_whole_body(name):
    assert event(message(name)).data == json.loads(message(name).body)


def test_a_change_of_debezium_is_given_without_its_schema():
    data = event(message("debezium_schema_payload")).data
    assert data["after"] == {"id": 17, "total": "9.90"}
    assert data["op"] == "c"


def test_what_laravel_serialised_stays_text():
    assert event(message("laravel_job")).data["command"].startswith('O:18:"App\\Jobs\\ShipOrder"')


@pytest.mark.parametrize(
    ("system", "path"), SYSTEMS, ids=[f"{system}/{path.stem}" for system, path in SYSTEMS]
)
@pytest.mark.parametrize("fixed", [False, True])
def test_a_system_is_recognised_and_read(system, path, fixed):
    body = path.read_bytes()
    told = json.loads(body)
    found = event(Message(body=body, routing_key="hooks2"), system if fixed else "auto")
    assert found.format == system
    assert found.type == told["event_type" if system == "phlix" else "event"]
    assert found.data == told[{"phlix": "payload", "plinqx": "data", "cockpit": "args"}[system]]
    assert found.publisher_id is None
    assert found.message.body == body


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("phlix/playback_ended", "2025-06-01T18:30:00Z"),
        ("phlix/alert_markdown_breaking_unicode", "2025-06-01T18:30:00Z"),
        ("phlix/subscription_delivery_media_played", "2025-06-01T18:31:02Z"),
        ("plinqx/invocation_completed", AT),
        ("cockpit/v1_forms_submit_after", None),
    ],
)
def test_systems_tell_the_time_or_do_not(name, time):
    assert event(Message(body=(FOLDER / f"{name}.json").read_bytes())).time == time


@pytest.mark.parametrize("name", ["v2_content_item_save", "v2_content_item_remove"])
def test_bare_arguments_are_cockpits_only_where_the_source_says_so(name):
    message = Message(body=(FOLDER / "cockpit" / f"{name}.json").read_bytes(), routing_key="pages")
    assert event(message).format == "json"
    found = event(message, "cockpit")
    assert (found.format, found.type) == ("cockpit", "pages")
    assert found.data == json.loads(message.body)
