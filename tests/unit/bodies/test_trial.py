"""The event that a test sends."""

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.bodies.body import Body
from bridge.bodies.builder import builder, told_event, trial_event
from bridge.core.hook import Hook
from bridge.core.target import Profile

AT = 1_746_428_889.25
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def a_hook(profile: str, **fields: Any) -> Hook:
    target = {"type": "webhook", "url": "https://crm.example.net/in", "profile": profile}
    return Hook.model_validate({"name": "crm", "target": target, **fields})


def sent(profile: str, event) -> Any:
    """What a receiver gets, parsed."""
    body = builder(None, profile, hook="crm")(event)
    assert isinstance(body, Body)
    assert body.content_type == "application/json"
    return json.loads(body.content)


@pytest.mark.parametrize("profile", get_args(Profile))
def test_every_profile_has_a_body_that_names_the_hook_or_is_its_systems_ping(profile):
    event = trial_event(a_hook(profile), "0197", AT)

    if profile == "splynx":
        assert (event.type, event.message.body) == ("ping", b'{"type":"ping"}')
    else:
        assert event.type == "webhook.test"
        assert '"webhook_id"' in json.dumps(sent(profile, event))
    assert (event.id, event.webhook_id, event.received_at) == ("0197", "0197", AT)


def test_phlix_gets_what_phlix_sends():
    shaped = sent("phlix", trial_event(a_hook("phlix"), "0197", AT))

    assert shaped == {
        "event_type": "webhook.test",
        "payload": {"message": "This is a test of hook crm", "webhook_id": "crm"},
        "occurred_at": "2025-05-05T07:08:09+00:00",
    }


def test_a_given_type_takes_the_place_of_the_systems_own():
    event = trial_event(a_hook("splynx"), "0197", AT, "customers.edit")

    assert event.type == "customers.edit"
    assert sent("splynx", event) == {"type": "event", "data": event.data}


def test_the_event_is_of_the_first_source_that_the_hook_listens_to():
    assert trial_event(a_hook("none", sources=["splynx", "shop"]), "0197", AT).source == "splynx"
    assert trial_event(a_hook("none"), "0197", AT).source == "bridge"


@given(JSON)
def test_given_data_are_the_whole_body(data):
    event = told_event(a_hook("none"), "0197", AT, "a.b", data)

    assert json.loads(event.message.body) == data
    assert event.data == data
