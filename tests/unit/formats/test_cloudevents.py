"""CloudEvents: structured, binary in all spellings, and batches."""

import json
from datetime import UTC, datetime

import pytest

from bridge.core.event import Message
from tests.support.publishers import decoded, event, facts, sent

EVENT = {"specversion": "1.0", "type": "t.happened", "source": "/s", "id": "1", "data": {"a": 1}}
ATTRIBUTES = {
    "specversion": "1.0",
    "type": "t.happened",
    "source": "/s",
    "id": "1",
    "time": "2025-05-05T09:08:09.5+02:00",
}
BATCH = "application/cloudevents-batch+json"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/cloudevents+json",
        "APPLICATION/CloudEvents+JSON; charset=UTF-8",
        " application/cloudevents+json;charset=utf-8",
        None,
        "application/json",
    ],
)
def test_a_structured_event_is_read(content_type):
    found = event(sent(EVENT | {"time": "2025-05-05T07:08:09Z"}, content_type=content_type))
    assert facts(found) == ("cloudevents", "t.happened", "/s1", "2025-05-05T07:08:09Z")
    assert found.data == {"a": 1}


@pytest.mark.parametrize(
    ("change", "data"),
    [
        ({"data": None}, None),
        ({"data": "text"}, "text"),
        ({"data": [1]}, [1]),
        ({"data": None, "data_base64": "AA=="}, None),
    ],
)
def test_data_of_any_kind_are_given(change, data):
    assert event(sent(EVENT | change)).data == data


def test_an_event_without_data_has_none_and_base64_stays_text():
    bare = {name: value for name, value in EVENT.items() if name != "data"}
    assert event(sent(bare)).data is None
    assert event(sent(bare | {"data_base64": "iVBORw0KGgo="})).data == "iVBORw0KGgo="


@pytest.mark.parametrize(
    "prefix", ["cloudEvents:", "cloudEvents_", "ce-", "ce_", "CE-", "Ce-", "CLOUDEVENTS_"]
)
def test_a_binary_event_is_read_however_its_headers_are_spelled(prefix):
    headers = {prefix + name: value for name, value in ATTRIBUTES.items()} | {"other": 1}
    found = event(Message(body=b"\x89PNG", headers=headers, content_type="image/png"))
    assert facts(found) == ("cloudevents", "t.happened", "/s1", "2025-05-05T07:08:09.5Z")
    assert found.data is None


def test_headers_in_title_case_are_as_good():
    headers = {f"Ce-{name.title()}": value for name, value in ATTRIBUTES.items()}
    found = event(sent({"a": 1}, headers=headers))
    assert facts(found) == ("cloudevents", "t.happened", "/s1", "2025-05-05T07:08:09.5Z")
    assert found.data == {"a": 1}


def test_header_values_may_be_of_any_amqp_type():
    headers = {
        "cloudEvents:specversion": b"1.0",
        "cloudEvents:type": b"t.happened",
        "cloudEvents:source": b"/s",
        "cloudEvents:id": 7,
        "cloudEvents:time": datetime(2025, 5, 5, 7, 8, 9, tzinfo=UTC),
    }
    assert facts(event(Message(body=b"", headers=headers))) == (
        "cloudevents", "t.happened", "/s7", "2025-05-05T07:08:09Z",
    )  # fmt: skip


def test_in_binary_form_a_body_with_keys_of_the_same_name_is_only_data():
    headers = {f"cloudEvents:{name}": value for name, value in ATTRIBUTES.items()}
    body = EVENT | {"type": "inner", "id": "inner"}
    for form in ("auto", "cloudevents"):
        found = event(sent(body, headers=headers, content_type="application/json"), form)
        assert (found.type, found.publisher_id, found.data) == ("t.happened", "/s1", body)


@pytest.mark.parametrize(
    ("change", "publisher_id"),
    [
        ({"source": None}, "1"),
        ({"source": ""}, "1"),
        ({"id": None}, None),
        ({"id": ""}, None),
        ({"id": {}}, None),
        ({"id": 5}, "/s5"),
        ({"source": "/shop", "id": "A234"}, "/shopA234"),
    ],
)
def test_source_and_id_run_together_and_without_an_id_there_is_none(change, publisher_id):
    message = sent(EVENT | change, content_type="application/cloudevents+json")
    assert event(message).publisher_id == publisher_id


def test_without_an_id_the_message_id_is_the_publishers():
    message = sent({"specversion": "1.0"}, content_type="application/cloudevents+json", message_id="m")
    assert facts(event(message)) == ("cloudevents", "unknown", "m", None)


@pytest.mark.parametrize("missing", ["specversion", "type", "source", "id"])
def test_without_its_content_type_only_what_has_all_that_it_must_have_is_one(missing):
    assert event(sent({name: value for name, value in EVENT.items() if name != missing})).format == "json"


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b"5", b"\x00"])
def test_a_body_that_does_not_fit_its_content_type_is_an_event_all_the_same(body):
    found = event(Message(body=body, content_type="application/cloudevents+json", routing_key="rk"))
    assert (found.format, found.type) == ("cloudevents", "rk")


@pytest.mark.parametrize(
    ("content_type", "single"),
    [
        (BATCH, "application/cloudevents+json"),
        ("Application/CloudEvents-Batch+json; charset=utf-8", "application/cloudevents+json; charset=utf-8"),
        (None, "application/cloudevents+json"),
        ("application/json", "application/cloudevents+json"),
    ],
)
def test_a_batch_is_split_into_its_events_with_their_own_bytes(content_type, single):
    first, second = json.dumps(EVENT), json.dumps(EVENT | {"id": "2", "data": 1e400}, indent=1)
    body = f"[ {first} ,\n{second}\n]".encode()
    batch = decoded(Message(body=body, content_type=content_type, routing_key="rk", headers={"h": 1}))
    assert batch.is_batch
    assert [found.publisher_id for found in batch.events] == ["/s1", "/s2"]
    assert [found.message.body for found in batch.events] == [first.encode(), second.encode()]
    assert {found.message.content_type for found in batch.events} == {single}
    assert {found.message.routing_key for found in batch.events} == {"rk"}
    assert {found.format for found in batch.events} == {"cloudevents"}
    assert batch.events[0].data == {"a": 1}


def test_whatever_is_in_a_batch_becomes_an_event():
    batch = decoded(Message(body=b'[5,null,{"id":"x"}]', content_type=BATCH, routing_key="rk"))
    assert batch.is_batch
    assert [found.type for found in batch.events] == ["rk"] * 3
    assert batch.events[2].publisher_id == "x"


def test_an_empty_batch_is_one_event():
    assert facts(event(Message(body=b"[]", content_type=BATCH, routing_key="rk"))) == (
        "cloudevents", "rk", None, None,
    )  # fmt: skip


def test_an_array_with_something_else_in_it_is_no_batch_without_the_content_type():
    assert event(sent([EVENT, {"a": 1}])).format == "json"
    assert event(sent([EVENT, {"a": 1}]), "cloudevents").data == [EVENT, {"a": 1}]
