"""The schemas that are published: each system's own samples fit, what was tampered with does not."""

import copy
import json
from typing import Any

import pytest

from bridge.bodies.body import event_json
from bridge.core.delivery import Answer, Delivery
from bridge.core.envelopes import ENVELOPES, envelope_schema, json_schema
from bridge.deliveries.documents import DeliveryDocument
from bridge.events.documents import EventDocument
from bridge.formats.conformity import DIALECT, compile_schema
from devtools import documents
from tests.support.events import NASTY_BODIES, delivery
from tests.support.publishers import FOLDER

SAMPLES = {
    "splynx": sorted((FOLDER / "splynx").glob("[qw]*.json"))
    + sorted((FOLDER / "splynx").glob("nasty_[bdm]*.json")),
    **{name: sorted((FOLDER / name).glob("*.json")) for name in ("phlix", "plinqx", "cockpit", "tiki")},
}
EVERY_SAMPLE = [(name, file) for name, files in SAMPLES.items() for file in files]
CLOUD_EVENT = {
    "specversion": "1.0",
    "type": "com.example.order.paid",
    "source": "/shop",
    "id": "A236",
    "time": "2025-05-05T07:08:09Z",
    "datacontenttype": "application/json",
    "myextension": 1,
    "data": {"total": "9.90"},
}


def misfit(name: str, value: Any) -> str | None:
    return compile_schema(envelope_schema(name))(value)


def sample(name: str, file: str) -> Any:
    return json.loads(next(path for path in SAMPLES[name] if path.stem == file).read_text())


def changed(value: Any, path: str, new: Any) -> Any:
    """A copy with another value at the path of keys, or without the key where the new value is `...`."""
    result = copy.deepcopy(value)
    *above, last = path.split("/")
    holder = result
    for step in above:
        holder = holder[step]
    if new is ...:
        del holder[last]
    else:
        holder[last] = new
    return result


def test_there_is_a_sample_of_every_system():
    assert all(SAMPLES.values())
    assert SAMPLES.keys() | {"cloudevents"} == ENVELOPES.keys()


@pytest.mark.parametrize(("name", "file"), EVERY_SAMPLE, ids=[f"{n}-{f.stem}" for n, f in EVERY_SAMPLE])
def test_a_systems_own_samples_fit(name, file):
    assert misfit(name, json.loads(file.read_text())) is None


@pytest.mark.parametrize(
    "event", [CLOUD_EVENT, changed(changed(CLOUD_EVENT, "data", ...), "data_base64", "aGk=")]
)
def test_a_cloud_event_fits(event):
    assert misfit("cloudevents", event) is None


@pytest.mark.parametrize(
    ("name", "file", "path", "new", "fault"),
    [
        ("splynx", "queue_customer_create", "data", ..., '$: "data" is a required property'),
        ("splynx", "queue_customer_create", "data", [], '$.data: an array of 0 is not of type "object"'),
        ("splynx", "queue_customer_create", "type", "other", '$.type: "other" is not one of "" or "event"'),
        ("splynx", "queue_customer_create", "type", 5, '$.type: 5 is not of type "string"'),
        ("splynx", "queue_customer_create", "data/model", 5, '$.data.model: 5 is not of type "string"'),
        ("splynx", "queue_customer_create", "data/model", ..., '$.data: "model" is a required property'),
        ("splynx", "queue_customer_create", "data/action", None, '$.data.action: null is not of type "string"'),
        ("splynx", "queue_customer_create", "data/date", "14.03.2025", '$.data.date: "14.03.2025" does not match'),
        ("splynx", "queue_customer_create", "data/time", "9:26", '$.data.time: "9:26" does not match'),
        ("splynx", "queue_customer_create", "data/attributes", "x", '$.data.attributes: "x" is not of types'),
        ("splynx", "queue_customer_create", "data/attributes_additional", [1], "$.data.attributes_additional: "),
        ("splynx", "queue_customer_create", "data/administrator_id", 1, "$.data.administrator_id: 1 is not"),
        ("splynx", "webhook_ping", "type", ..., '$: "data" is a required property'),
        ("phlix", "playback_ended", "event_type", ..., '$: "event_type" is a required property'),
        ("phlix", "playback_ended", "event_type", 1, '$.event_type: 1 is not of type "string"'),
        ("phlix", "playback_ended", "payload", "x", '$.payload: "x" is not of types'),
        ("phlix", "playback_ended", "payload", [1], "$.payload: an array of 1 has more than 0 items"),
        ("phlix", "playback_ended", "occurred_at", "yesterday", '$.occurred_at: "yesterday" does not match'),
        ("phlix", "subscription_delivery_media_played", "timestamp", ..., '$: "timestamp" is a required'),
        ("plinqx", "tool_called", "data", [], '$.data: an array of 0 is not of type "object"'),
        ("plinqx", "tool_called", "metadata", ..., '$: "metadata" is a required property'),
        ("plinqx", "tool_called", "metadata/tenantId", 9, '$.metadata.tenantId: 9 is not of types "null"'),
        ("plinqx", "tool_called", "timestamp", 1746428889, '$.timestamp: 1746428889 is not of type "string"'),
        ("cockpit", "v1_media_upload", "event", ..., '$: "event" is a required property'),
        ("cockpit", "v1_media_upload", "backend", 2, "$.backend: 2 is not one of 0 or 1"),
        ("cockpit", "v1_media_upload", "args", {}, '$.args: an object with 0 keys is not of type "array"'),
    ],
)  # fmt: skip
def test_what_was_tampered_with_does_not_fit_and_the_path_is_told(name, file, path, new, fault):
    told = misfit(name, changed(sample(name, file), path, new))
    assert told is not None
    assert told.startswith(fault), told


@pytest.mark.parametrize("root", [None, 5, "text", [], True])
@pytest.mark.parametrize("name", sorted(ENVELOPES.keys() - {"tiki"}))
def test_a_root_that_is_no_event_does_not_fit(name, root):
    assert misfit(name, root) is not None


@pytest.mark.parametrize(
    ("path", "new"),
    [("id", ...), ("id", ""), ("source", ...), ("type", 5), ("specversion", "2"), ("time", "now"),
     ("data_base64", "aGk="), ("subject", "")],
)  # fmt: skip
def test_a_cloud_event_that_lacks_what_it_must_have_does_not_fit(path, new):
    assert misfit("cloudevents", changed(CLOUD_EVENT, path, new)) is not None


@pytest.mark.parametrize("body", NASTY_BODIES.values(), ids=NASTY_BODIES)
def test_what_body_event_sends_fits_the_schema_of_an_event(body):
    sent = event_json(delivery(body).event)
    assert not isinstance(sent, Answer)
    assert compile_schema(json_schema(EventDocument))(json.loads(sent)) is None


def test_an_event_with_both_or_neither_of_its_bodies_does_not_fit():
    fits = compile_schema(json_schema(EventDocument))
    sent = event_json(delivery().event)
    assert isinstance(sent, bytes)
    event = json.loads(sent)
    assert fits(event) is None
    assert fits(event | {"data_base64": ""})
    assert fits(changed(event, "data", ...))
    assert fits(event | {"more": 1})


def a_delivery(attempts: Any) -> dict[str, Any]:
    at = "2025-05-05T07:08:09.123Z"
    return {
        "id": Delivery("d", delivery().event, "crm").id, "event_id": "e", "event_type": "a.b", "hook": "crm",
        "hook_name": "crm",
        "status": "RETRYING", "reason": "503", "created_at": at, "updated_at": at, "next_attempt_at": None,
        "attempts": attempts,
    }  # fmt: skip


def test_a_delivery_fits_in_a_list_and_alone():
    fits = compile_schema(json_schema(DeliveryDocument))
    attempt = {
        "number": 1, "generation": 1, "started_at": "2025-05-05T07:08:09Z", "duration_ms": 12.5, "outcome": "status",
        "status_code": 503, "response": "", "error": None, "request": None, "response_headers": None,
    }  # fmt: skip
    assert fits(a_delivery(2) | {"last": None}) is None
    assert fits(a_delivery([attempt]) | {"target": None}) is None
    assert fits(a_delivery([attempt | {"number": 0}]) | {"target": None})
    assert fits(a_delivery("2") | {"last": None})
    assert fits(a_delivery(2) | {"status": "DONE", "last": None})


@pytest.mark.parametrize("name", ["event", "delivery", *ENVELOPES])
def test_every_schema_is_of_the_2020_dialect(name):
    schema = json.loads(getattr(documents, f"{name}_schema_text")())
    assert schema["$schema"] == DIALECT
    compile_schema(schema)
