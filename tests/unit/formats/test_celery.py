"""Celery's tasks of both protocols, and the events of its workers."""

import json

import pytest

from bridge.core.event import Message
from tests.support.publishers import decoded, event, facts, message, sent

TASK_1 = {
    "id": "4cc7438e-afd4-4f8f-a2f3-f46567e7ca77",
    "task": "shop.tasks.ship",
    "args": [17],
    "kwargs": {"express": True},
    "retries": 0,
    "eta": "2025-05-05T09:08:09.5+02:00",
}
EVENT = {
    "type": "worker-heartbeat",
    "hostname": "w@h",
    "timestamp": 1746428889.5,
    "utcoffset": -1,
    "clock": 1,
}


def test_a_task_of_protocol_1_is_read_from_the_body():
    found = event(sent(TASK_1))
    assert facts(found) == ("celery", "shop.tasks.ship", None, "2025-05-05T07:08:09.5Z")
    assert found.data == {"args": [17], "kwargs": {"express": True}}


def test_arguments_that_are_not_told_are_empty():
    assert event(sent({"task": "t", "id": "1", "retries": 0})).data == {"args": [], "kwargs": {}}


@pytest.mark.parametrize(
    "body",
    [
        {"task": "clean the house", "id": 5},
        {"task": "clean the house", "id": "5"},
        {"task": {"name": "t"}, "id": "5", "args": []},
    ],
)
def test_what_merely_speaks_of_a_task_is_json(body):
    assert event(sent(body)).format == "json"


@pytest.mark.parametrize(
    ("headers", "form"),
    [
        ({"task": "t.ship", "id": "1"}, "celery"),
        ({"task": b"t.ship", "lang": "py"}, "celery"),
        ({"task": "t.ship"}, "celery"),
        ({"task": ""}, "json"),
        ({"task": {}, "id": "1"}, "json"),
        ({"Task": "t.ship", "id": "1"}, "json"),
    ],
)
def test_a_task_of_protocol_2_is_known_by_its_headers(headers, form):
    found = event(sent([[1], {}, {}], headers=headers, routing_key="celery"))
    assert (found.format, found.type) == (form, "t.ship" if form == "celery" else "celery")


def test_a_header_task_alone_makes_no_task_of_anybodys_body():
    assert event(sent({"a": 1}, headers={"task": "t"})).format == "json"


@pytest.mark.parametrize("eta", ["2025-05-05T07:08:09", "2025-05-05T07:08:09+00:00"])
def test_the_time_of_a_task_is_when_it_is_due(eta):
    headers = {"task": "t", "id": "1", "eta": eta}
    assert event(sent([[], {}, {}], headers=headers), timezone="Europe/Prague").time == "2025-05-05T07:08:09Z"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-python-serialize", b"\x80\x04\x95\x00."),
        ("application/x-python-serialize", b"[[1],{},{}]"),
        ("application/x-msgpack", b"5"),
        ("Application/X-Python-Serialize", b'{"a":1}'),
    ],
)
def test_what_is_pickled_or_packed_is_an_event_without_data(content_type, body):
    headers = {"task": "t.ship", "id": "1"}
    found = event(Message(body=body, headers=headers, content_type=content_type))
    assert (found.format, found.type, found.data) == ("celery", "t.ship", None)
    assert event(Message(body=body, content_type=content_type), "celery").data is None


def test_an_event_is_known_by_its_exchange_or_its_keys():
    by_exchange = sent({"type": "task-sent", "hostname": "h"}, exchange="celeryev")
    assert facts(event(by_exchange)) == ("celery", "task-sent", None, None)
    assert facts(event(sent(EVENT))) == ("celery", "worker-heartbeat", None, "2025-05-05T07:08:09.500Z")


def test_a_list_of_events_is_split():
    texts = [json.dumps(EVENT), json.dumps(EVENT | {"type": "task-received"}, indent=2)]
    body = ("[" + ", ".join(texts) + "]").encode()
    for form, exchange in (("auto", "celeryev"), ("auto", ""), ("celery", "")):
        batch = decoded(Message(body=body, exchange=exchange, content_type="application/json"), form)
        assert batch.is_batch
        assert [found.type for found in batch.events] == ["worker-heartbeat", "task-received"]
        assert [found.message.body.decode() for found in batch.events] == texts
        assert batch.events[0].message.content_type == "application/json"


@pytest.mark.parametrize("body", [[], [EVENT, 5], [[1], {}, {}], {"a": 1}, None, "text"])
def test_whatever_else_a_worker_may_publish_is_one_event(body):
    assert event(sent(body, exchange="celeryev", routing_key="rk")).type == "rk"


def test_the_publishers_id_of_a_task_is_the_message_id_alone():
    assert event(message("celery_task_v2")).publisher_id is None
    assert event(sent(TASK_1, message_id="m")).publisher_id == "m"
