"""What a source measures of an event."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.core.event import Source
from bridge.measuring.dimensions import (
    MAX_KEY,
    OF_PHLIX,
    Dimensions,
    compile_dimension,
    counted_at,
    dimensions_of,
    key_of,
    measured_by,
    number_of,
)
from tests.support.records import NOW, an_event

DAY = 86_400


def measured(expression: str, data: Any) -> dict[str, Any]:
    return Dimensions({"it": expression}).of(an_event(data=data))


@pytest.mark.parametrize(
    ("expression", "data", "expected"),
    [
        ("event.data.user", {"user": "u1"}, {"it": "u1"}),
        ("event.data.n * 2", {"n": 21}, {"it": 42}),
        ("event.data.n > 1", {"n": 21}, {"it": True}),
        ("event.data.n", {"n": 1.5}, {"it": 1.5}),
        ("event.type", {}, {"it": "customers.create"}),
        ("event.data.user", {}, {}),
        ("event.data.user", [], {}),
        ("event.data.user", None, {}),
        ("event.data.user", {"user": None}, {}),
        ("event.data.user", {"user": {"id": 1}}, {}),
        ("event.data.user", {"user": ["a"]}, {}),
        ("event.data.a / event.data.b", {"a": 1, "b": 0}, {}),
    ],
)
def test_an_event_has_the_values_that_it_has(expression, data, expected):
    assert measured(expression, data) == expected


@pytest.mark.parametrize(
    "expression", ["event.dta.x", "event.data.(", "nothing", "[1, 2]", "event.headers", "event"]
)
def test_an_expression_that_can_give_no_value_is_refused(expression):
    with pytest.raises(ValueError, match=r"."):
        compile_dimension(expression)


@pytest.mark.parametrize(
    ("value", "key", "number"),
    [
        ("u1", "u1", None),
        ("", None, None),
        ("x" * 300, "x" * MAX_KEY, None),
        (True, "true", 1.0),
        (False, "false", 0.0),
        (7, "7", 7.0),
        (7.0, "7", 7.0),
        (7.5, None, 7.5),
        (2**63 - 1, str(2**63 - 1), None),
        (float("inf"), None, None),
        (float("nan"), None, None),
        (-3, "-3", -3.0),
    ],
)
def test_texts_are_keys_numbers_are_sums_and_whole_ones_both(value, key, number):
    assert (key_of(value), number_of(value)) == (key, number)


def test_a_source_of_phlix_measures_users_media_duration_and_completion():
    phlix = Source.model_validate({"name": "phlix", "queue": "q", "format": "phlix"})
    data = {"user_id": "u1", "media_item_id": "m1", "duration_seconds": 5421, "completed": True}

    found = Dimensions(dimensions_of(phlix)).of(an_event(data=data))

    assert found == {"user": "u1", "media": "m1", "duration": 5421, "completed": True}


def test_what_a_source_declares_goes_before_what_its_format_has():
    declared = {
        "name": "phlix",
        "queue": "q",
        "format": "phlix",
        "dimensions": {"user": "event.data.user_id"},
    }

    assert dimensions_of(Source.model_validate(declared)) == {"user": "event.data.user_id"}
    assert dimensions_of(Source.model_validate({"name": "s", "queue": "q", "format": "json"})) == {}
    assert set(OF_PHLIX) == {"user", "media", "duration", "completed"}


def test_a_source_that_tells_formats_apart_measures_what_it_takes_for_phlixs_events_and_no_other():
    measured_here = measured_by(Source.model_validate({"name": "s", "queue": "q"}))
    assert measured_here is not None
    event = an_event(data={"user_id": "u1", "duration_seconds": 7})

    assert measured_here.of(replace(event, format="phlix")) == {"user": "u1", "duration": 7}
    assert measured_here.of(replace(event, format="json")) == {}
    assert measured_by(Source.model_validate({"name": "s", "queue": "q", "format": "splynx"})) is None


@pytest.mark.parametrize(
    ("time", "at"),
    [
        (None, NOW),
        ("2025-05-04T23:59:59Z", 1_746_403_199),
        ("2025-05-04T23:59:59.123456789Z", 1_746_403_199),
        ("2025-05-05T01:59:59+02:00", 1_746_403_199),
        ("2021-01-02T00:00:00Z", 1_609_545_600),
        ("1999-01-01T00:00:00Z", NOW),
        ("2125-01-01T00:00:00Z", NOW),
        ("yesterday", NOW),
        ("", NOW),
    ],
)
def test_an_event_counts_by_its_own_time_where_that_can_be(time, at):
    assert counted_at(replace(an_event(), time=time)) == at
