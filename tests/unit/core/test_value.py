"""The values of the hot path: plain at run time, frozen for the type checker."""

from dataclasses import replace

import pytest

from bridge.core.delivery import Delivery
from bridge.core.event import Event, Message

EVENT = Event("id", "splynx", "customers.create", "splynx", 1.0, Message(b"{}"))


def test_values_with_equal_fields_are_equal_and_hash_alike():
    assert Delivery("id", EVENT, "crm") == Delivery("id", EVENT, "crm")
    assert hash(Delivery("id", EVENT.id, "crm")) == hash(Delivery("id", EVENT.id, "crm"))  # type: ignore[arg-type]


def test_a_value_is_changed_by_making_another_one():
    assert replace(EVENT, type="other").type == "other"
    assert EVENT.type == "customers.create"


def test_a_value_takes_no_other_field():
    with pytest.raises(AttributeError):
        EVENT.another = 1  # type: ignore[attr-defined]
