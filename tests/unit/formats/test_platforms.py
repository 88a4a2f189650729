"""Keycloak, OpenStack, Debezium and GitLab."""

import json

import pytest

from bridge.core.event import Message
from tests.support.publishers import event, facts, message, sent

ADMIN = "KK.EVENT.ADMIN.SHOP.SUCCESS.USER.UPDATE"
LOGIN = "KK.EVENT.CLIENT.SHOP.ERROR.web.LOGIN_ERROR"


@pytest.mark.parametrize(
    ("properties", "kind"),
    [
        ({"app_id": "Keycloak", "routing_key": LOGIN}, LOGIN),
        ({"routing_key": ADMIN}, ADMIN),
        ({"app_id": "Keycloak", "routing_key": "requeued"}, "requeued"),
        ({"app_id": "Keycloak", "type": "told"}, "told"),
    ],
)
def test_keycloak_is_named_by_its_routing_key(properties, kind):
    body = {"time": 1746428889123, "id": "e-1", "type": "LOGIN_ERROR"}
    found = event(sent(body, **properties))
    assert facts(found) == ("keycloak", kind, None, "2025-05-05T07:08:09.123Z")
    assert found.data == body


@pytest.mark.parametrize(
    ("deaths", "kind"),
    [
        ([{"routing-keys": ["retry"]}, {"routing-keys": [7, ADMIN, "cc"]}], ADMIN),
        ([{"routing-keys": ["retry"]}, {"routing-keys": None}, "x", {}], "dead"),
        ("x", "dead"),
    ],
)
def test_a_dead_letter_of_keycloak_keeps_the_type_that_it_was_published_with(deaths, kind):
    found = event(sent({}, app_id="Keycloak", routing_key="dead", headers={"x-death": deaths}))
    assert (found.format, found.type) == ("keycloak", kind)


def test_keycloak_is_known_by_its_class_when_all_else_is_lost():
    body = json.loads(message("keycloak_admin_event").body)
    assert event(sent(body, routing_key="q")).format == "keycloak"
    assert event(sent({"@class": "com.shop.Order"}, routing_key="q")).format == "json"


NOTIFICATION = {
    "_context_auth_token": "gAAAA-token",
    "_context_request_id": "req-1",
    "_unique_id": "u-1",
    "message_id": "m-1",
    "publisher_id": "compute.host1",
    "event_type": "compute.instance.create.end",
    "priority": "INFO",
    "timestamp": "2025-05-05 07:08:09.123456",
    "payload": {"instance_id": "i-1", "state": "active"},
}


def wrapped(notification: object) -> dict[str, object]:
    return {"oslo.version": "2.0", "oslo.message": json.dumps(notification)}


@pytest.mark.parametrize("body", [wrapped(NOTIFICATION), NOTIFICATION])
def test_a_notification_of_openstack_is_read_with_and_without_its_envelope(body):
    found = event(sent(body, message_id="amqp", routing_key="notifications.info"), timezone="Europe/Prague")
    assert facts(found) == ("oslo", "compute.instance.create.end", "m-1", "2025-05-05T07:08:09.123456Z")
    assert found.data == {"instance_id": "i-1", "state": "active"}


def test_the_unique_id_stands_in_for_the_message_id():
    body = {key: value for key, value in NOTIFICATION.items() if key != "message_id"}
    assert event(sent(wrapped(body), message_id="amqp")).publisher_id == "u-1"


def test_secrets_of_the_request_are_not_in_data_but_in_the_bytes():
    call = {"method": "build", "args": {"a": 1}} | {
        f"_context_{name}": "hidden" for name in ("auth_token", "service_token", "password", "Secret_key", "user")
    }  # fmt: skip
    found = event(sent(wrapped(call), routing_key="compute"))
    assert found.type == "compute"
    assert found.data == {"method": "build", "args": {"a": 1}, "_context_user": "hidden"}
    assert b"_context_auth_token" in found.message.body


@pytest.mark.parametrize("inner", ["", "not json", "[]", "5", '{"a":"\ud800"}', "[" * 3000])
def test_an_envelope_with_anything_in_it_is_an_event_all_the_same(inner):
    found = event(sent({"oslo.version": "2.0", "oslo.message": inner}, routing_key="rk"))
    assert (found.format, found.type) == ("oslo", "rk")


@pytest.mark.parametrize("missing", ["event_type", "publisher_id", "payload"])
def test_what_lacks_a_key_of_a_notification_is_json(missing):
    assert event(sent({key: value for key, value in NOTIFICATION.items() if key != missing})).format == "json"


def change(source: dict[str, object], op: str = "u", **fields: object) -> dict[str, object]:
    return {"before": None, "after": {"id": 1}, "source": source, "op": op} | fields


@pytest.mark.parametrize(
    ("source", "op", "kind"),
    [
        ({"db": "shop", "schema": "public", "table": "orders"}, "c", "public.orders.c"),
        ({"db": "shop", "schema": "dbo", "table": "orders"}, "d", "dbo.orders.d"),
        ({"db": "shop", "table": "orders"}, "u", "shop.orders.u"),
        ({"db": "shop", "schema": None, "table": "orders"}, "r", "shop.orders.r"),
        ({"db": "shop", "schema": "", "table": "orders"}, "t", "shop.orders.t"),
        ({"db": "shop", "collection": "orders"}, "u", "shop.orders.u"),
        ({"db": "shop", "schema": "", "table": ""}, "m", "shop.m"),
        ({"db": 5, "table": []}, "c", "c"),
    ],
)
@pytest.mark.parametrize("in_payload", [True, False])
def test_a_change_of_debezium_is_named_by_schema_table_and_operation(source, op, kind, in_payload):
    told = change(source, op, ts_ms=1746428889123)
    found = event(sent({"schema": {}, "payload": told} if in_payload else told))
    assert facts(found) == ("debezium", kind, None, "2025-05-05T07:08:09.123Z")
    assert found.data == told


def test_the_time_of_a_change_may_be_told_by_its_source_alone():
    assert event(sent(change({"table": "t", "ts_ms": 1746428889000}))).time == "2025-05-05T07:08:09Z"


@pytest.mark.parametrize("body", [b"default", b"", b"null", b'{"schema":null,"payload":null}'])
def test_a_tombstone_is_plain(body):
    message = Message(body=body, routing_key="shop.public.orders")
    assert facts(event(message)) == ("json", "shop.public.orders", None, None)
    assert event(message, "debezium").type == "shop.public.orders"


@pytest.mark.parametrize(
    "body",
    [
        {"op": "add", "source": {"table": "t"}},
        {"op": "c", "source": "shop"},
        {"op": ["c"], "source": {}},
        {"payload": {"op": "c"}, "source": {}},
    ],
)
def test_what_only_resembles_a_change_is_json(body):
    assert event(sent(body)).format == "json"


ISSUE = {
    "object_kind": "issue",
    "event_type": "issue",
    "project": {"id": 1},
    "object_attributes": {
        "id": 301,
        "created_at": "2013-12-03T17:15:43Z",
        "updated_at": "2013-12-04 18:15:43 +0100",
        "action": "update",
    },
}


def test_a_webhook_of_gitlab_is_known_by_its_body():
    found = event(sent(ISSUE))
    assert facts(found) == ("gitlab", "issue", None, "2013-12-04T17:15:43Z")
    assert found.data == ISSUE


@pytest.mark.parametrize("name", ["X-Gitlab-Event", "x-gitlab-event", "X-GITLAB-EVENT"])
@pytest.mark.parametrize("value", ["Tag Push Hook", b"Tag Push Hook"])
def test_a_webhook_of_gitlab_is_known_by_its_header(name, value):
    headers = {name: value, "X-Gitlab-Event-UUID": "13792a34"}
    found = event(sent({"ref": "refs/tags/v1"}, headers=headers, message_id="m"))
    assert facts(found) == ("gitlab", "tag_push", "m", None)
    assert event(Message(body=b"", headers=headers)).type == "tag_push"


@pytest.mark.parametrize(
    ("body", "kind", "time"),
    [
        (
            {"event_name": "user_create", "created_at": "2012-07-21T07:44:07Z",
             "updated_at": "2012-07-21T07:38:22Z", "user_id": 41},
            "user_create",
            "2012-07-21T07:38:22Z",
        ),
        ({"event_name": "repository_update", "project_id": 1, "changes": []}, "repository_update", None),
        ({"event_name": "user_failed_login", "user_id": 41, "state": "blocked"}, "user_failed_login", None),
        ({"event_name": "key_create", "username": "root", "key": "ssh-rsa", "id": 4}, "key_create", None),
        (
            {"object_kind": "build", "build_status": "created", "build_created_at": "2021-02-23 02:41:37 UTC",
             "build_finished_at": None},
            "build",
            "2021-02-23T02:41:37Z",
        ),
        (
            {"object_kind": "pipeline", "object_attributes":
             {"created_at": "2016-08-12 15:23:28 UTC", "finished_at": "2016-08-12 15:26:29 UTC"}},
            "pipeline",
            "2016-08-12T15:26:29Z",
        ),
        (
            {"object_kind": "deployment", "status_changed_at": "2021-04-28 21:50:00 +0200"},
            "deployment",
            "2021-04-28T19:50:00Z",
        ),
    ],
)  # fmt: skip
def test_times_of_gitlab_are_those_of_the_object(body, kind, time):
    assert facts(event(sent(body))) == ("gitlab", kind, None, time)


@pytest.mark.parametrize(
    "body",
    [
        {"event_name": "order.paid", "updated_at": "2025-05-05T07:08:09Z"},
        {"event_name": "user_create", "user": "jo"},
        {"event_name": 5, "project_id": 1},
        {"object_kind": 5},
    ],
)
def test_event_names_of_others_are_not_gitlabs(body):
    assert event(sent(body)).format == "json"
