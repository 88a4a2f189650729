"""What stands around the data is reachable by filters, templates, dimensions and keys, on the direct way and in a lane."""

import json
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.delivery import Delivery
from bridge.core.event import Dedupe, Event, Message, Source
from bridge.core.hook import Hook
from bridge.events.inspection import ExplainedEvent, as_object
from bridge.expressions.engine import compile_filter
from bridge.expressions.template import compile_template
from bridge.formats.registry import attributes_of, content_of, envelope_of
from bridge.measuring.dimensions import Dimensions
from bridge.routing.dedupe_keys import keyed_by
from bridge.routing.table import Decision, RoutingTable
from bridge.wire.copies import read_copy, write_copy
from tests.support.publishers import decoded

PLINQX = {
    "event": "a.b",
    "timestamp": "2025-03-01T00:00:00Z",
    "data": {"x": 1},
    "metadata": {"tenantId": "t-7"},
}
SPLYNX = {"type": "event", "call": "customer/create", "data": {"model": "models\\A\\B", "action": "create"}}
STRUCTURED = {
    "specversion": "1.0",
    "id": "1",
    "source": "/s",
    "type": "t",
    "subject": "u/9",
    "ext": 5,
    "data": {"n": 1},
}
BINARY = {
    "ce-specversion": "1.0",
    "ce-id": "1",
    "ce-source": "/s",
    "ce-type": "t",
    "ce-subject": "u/9",
    "ce-ext": 5,
}
OSLO = {
    "oslo.version": "2.0",
    "oslo.message": json.dumps(
        {
            "event_type": "e",
            "publisher_id": "p",
            "payload": {},
            "priority": "INFO",
            "_context_auth_token": "hidden",
        }
    ),
}


def event_of(body: Any, headers: Any = None, kind: str = "application/json") -> Event:
    made = decoded(Message(json.dumps(body).encode(), "", "q", headers or {}, kind)).event
    assert isinstance(made, Event)
    return made


def from_a_lane(event: Event) -> Event:
    headers = write_copy(Delivery("d", event, "crm"))
    copy = read_copy(replace(event.message, exchange="", routing_key="crm", headers=headers), content_of)
    assert isinstance(copy, Delivery)
    return copy.event


CASES = [
    (event_of(PLINQX), "event.envelope.metadata.tenantId", "t-7"),
    (event_of(SPLYNX), "event.envelope.call", "customer/create"),
    (event_of([[1], {"k": 2}, {"chain": "c"}], {"task": "a.b", "id": "u", "root_id": "r"}), "event.envelope.root_id", "r"),
    (event_of([[1], {"k": 2}, {"chain": "c"}], {"task": "a.b", "id": "u"}), "event.envelope.headers.task", "a.b"),
    (event_of([[1], {"k": 2}, {"chain": "c"}], {"task": "a.b", "id": "u"}), "event.envelope.embed.chain", "c"),
    (event_of(STRUCTURED, kind="application/cloudevents+json"), "event.attributes.subject", "u/9"),
    (event_of(STRUCTURED, kind="application/cloudevents+json"), "event.envelope.subject", "u/9"),
    (event_of({"n": 1}, BINARY), "event.attributes.subject", "u/9"),
    (event_of({"n": 1}, BINARY), "event.attributes.datacontenttype", "application/json"),
    (event_of({"n": 1}, BINARY), "event.envelope.id", "1"),
    (event_of(OSLO), "event.envelope.priority", "INFO"),
    (event_of({"messageType": ["urn:message:A:B"], "message": {}, "host": {"machineName": "m"}}), "event.envelope.host.machineName", "m"),
    (event_of({"anything": "else"}), "event.envelope.anything", "else"),
    (decoded(Message(b"type=event&call=a/b&data[model]=A%5CB", content_type="application/x-www-form-urlencoded"), "splynx").event, "event.envelope.call", "a/b"),
]  # fmt: skip


@pytest.mark.parametrize(("event", "path", "expected"), CASES)
def test_all_that_asks_about_an_event_sees_it(event, path, expected):
    for each in (event, from_a_lane(event)):
        condition = compile_filter(f'{path} == "{expected}"')
        assert condition.ask(condition.view.of(each), each) is True
        assert compile_template(f"{{{{ {path} }}}}").render(each) == expected
        assert compile_template(f"{{{{ {path}.size() }}}}").render(each) == str(len(expected))
        assert Dimensions({"it": path}).of(each) == {"it": expected}
        keys = keyed_by(Source(name="s", queue="q", dedupe=Dedupe(by=path)))
        assert keys is not None
        assert keys.of(each) == f"text {expected}"
        assert envelope_of(each) == envelope_of(event)


def test_what_a_filter_missed_is_explained():
    hook = Hook.model_validate(
        {
            "name": "h",
            "filter": 'event.attributes.subject == "x"',
            "target": {"type": "webhook", "url": "http://127.0.0.1/"},
        }
    )
    [of_plain] = RoutingTable([hook]).explain(event_of({"a": 1}))
    assert of_plain.decision is Decision.FILTER_MISSING_KEY
    [of_cloudevent] = RoutingTable([hook]).explain(event_of({"n": 1}, BINARY))
    assert of_cloudevent.decision is Decision.FILTERED


def test_data_are_no_attributes_and_extensions_keep_their_kind():
    expected = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "subject": "u/9", "ext": 5}
    assert attributes_of(event_of(STRUCTURED)) == expected
    assert attributes_of(event_of({"n": 1}, BINARY)) == {**expected, "datacontenttype": "application/json"}
    assert attributes_of(event_of(PLINQX)) == {}


def test_secrets_that_are_no_data_are_not_in_the_envelope():
    assert "hidden" not in json.dumps(envelope_of(event_of(OSLO)))


def test_of_what_is_never_read_nothing_is_in_the_envelope():
    event = event_of([[1], {}, {}], {"task": "a.b", "id": "u"}, "application/x-python-serialize")
    assert envelope_of(event) == {"task": "a.b", "id": "u", "headers": {"task": "a.b", "id": "u"}}


def test_inspect_and_explain_show_it_where_it_is_more_than_the_data():
    seen = as_object(ExplainedEvent(event_of(PLINQX)), configured=False)
    assert seen["envelope"] == PLINQX
    assert "attributes" not in seen
    assert "envelope" not in as_object(ExplainedEvent(event_of({"a": 1})), configured=False)
    assert as_object(ExplainedEvent(event_of(STRUCTURED)), configured=False)["attributes"]["ext"] == 5


def test_a_filter_on_data_has_nothing_else_made():
    condition = compile_filter("event.data.attributes.x == 1 && event.data.envelope.y == 2")
    assert condition.view.fields == {"data"}
    assert condition.view.keys["data"] == frozenset({"attributes", "envelope"})
