"""Types of events that stand in the bodies of senders with a scheme of their own."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.inlets.headers import type_in_body

STANDARD = {"type": "order.paid", "timestamp": "2025-05-05T07:08:09Z", "data": {}}


@pytest.mark.parametrize(
    ("scheme", "body", "told"),
    [
        ("stripe", {"id": "evt_1", "object": "event", "type": "invoice.paid"}, "invoice.paid"),
        ("standard", STANDARD, "order.paid"),
        ("standard", {"type": "event", "data": {"model": "x"}}, ""),
        ("github", STANDARD, ""),
        ("stripe", {"type": 5}, ""),
        ("stripe", ["type"], ""),
    ],
)
def test_stripe_and_standard_webhooks_tell_the_type_in_the_body(scheme, body, told):
    assert type_in_body(scheme, json.dumps(body).encode()) == told


@given(st.binary(max_size=50))
def test_no_body_makes_it_raise(body):
    assert isinstance(type_in_body("stripe", body), str)
