"""Times as publishers write them become RFC 3339 in UTC."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.formats.text import from_milliseconds, from_seconds, from_text, from_value

PRAGUE = ZoneInfo("Europe/Prague")
anything = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.binary()
    | st.datetimes()
    | st.lists(st.integers())
    | st.from_regex(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", fullmatch=True)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-05-05T07:08:09Z", "2025-05-05T07:08:09Z"),
        ("2025-05-05t07:08:09z", "2025-05-05T07:08:09Z"),
        ("2025-05-05T07:08:09.1234567Z", "2025-05-05T07:08:09.1234567Z"),
        ("2025-05-05T07:08:09.123456789Z", "2025-05-05T07:08:09.123456789Z"),
        ("2025-05-05T07:08:09.000Z", "2025-05-05T07:08:09.000Z"),
        ("2025-05-05T07:08:09+00:00", "2025-05-05T07:08:09Z"),
        ("2025-05-05T07:08:09-00:00", "2025-05-05T07:08:09Z"),
        ("2025-05-05T09:08:09.1234567+02:00", "2025-05-05T07:08:09.1234567Z"),
        ("2025-05-05T00:30:00+05:30", "2025-05-04T19:00:00Z"),
        ("2025-05-05T09:08:09+0200", "2025-05-05T07:08:09Z"),
        ("2025-05-05T09:08:09+02", "2025-05-05T07:08:09Z"),
        ("2013-12-03 17:23:34 UTC", "2013-12-03T17:23:34Z"),
        ("2013-12-03 12:23:34 -0500", "2013-12-03T17:23:34Z"),
        ("2025-05-05 07:08:09.123456", "2025-05-05T07:08:09.123456Z"),
        ("2025-05-05 07:08:09,123", "2025-05-05T07:08:09.123Z"),
        ("2025-05-05T07:08Z", "2025-05-05T07:08:00Z"),
        (" 2025-05-05T07:08:09Z\n", "2025-05-05T07:08:09Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ],
)
def test_a_time_is_told_in_utc_with_its_fraction_as_it_was(text, expected):
    assert from_text(text) == expected


def test_a_time_without_offset_is_one_of_the_zone():
    assert from_text("2025-07-01 10:00:00.5", PRAGUE) == "2025-07-01T08:00:00.5Z"
    assert from_text("2025-07-01 10:00:00 UTC", PRAGUE) == "2025-07-01T10:00:00Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "${DATE}",
        "2025-05-05",
        "07:08:09",
        "20250505T070809Z",
        "2025-02-29T00:00:00Z",
        "2025-05-05T25:00:00Z",
        "2025-05-05T07:08:09+25:00",
        "0000-00-00 00:00:00",
        "0001-01-01T00:00:00+02:00",
        "9999-12-31T23:59:59-02:00",
        "2025-05-05T07:08:09Z and more",
        "\uff12\uff10\uff12\uff15-05-05T07:08:09Z",
        "2025-05-05T07:08:09." + "1" * 100 + "Z",
        " " * 100_000,
        None,
        b"2025-05-05T07:08:09Z",
        20250505,
    ],
)
def test_what_is_no_time_is_none(text):
    assert from_text(text) is None


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1746428889, "2025-05-05T07:08:09Z"),
        (1746428889.0, "2025-05-05T07:08:09Z"),
        (1746428889.101747, "2025-05-05T07:08:09.101747Z"),
        (1746428889.5, "2025-05-05T07:08:09.500Z"),
        (1, "1970-01-01T00:00:01Z"),
        (0, None),
        (-5, None),
        (10**400, None),
        (float("nan"), None),
        (float("inf"), None),
        (253_402_300_799.9999999, None),
        (True, None),
        ("1746428889", None),
        (None, None),
    ],
)
def test_seconds_since_1970_become_text(number, expected):
    assert from_seconds(number) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1746428889123, "2025-05-05T07:08:09.123Z"),
        (1746428889000, "2025-05-05T07:08:09Z"),
        (1746428889123.25, "2025-05-05T07:08:09.123250Z"),
        (0, None),
        (10**400, None),
        (False, None),
        ("1746428889123", None),
    ],
)
def test_milliseconds_since_1970_become_text(number, expected):
    assert from_milliseconds(number) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1746428889, "2025-05-05T07:08:09Z"),
        (1746428889123, "2025-05-05T07:08:09.123Z"),
        (946_684_800, "2000-01-01T00:00:00Z"),
        (946_684_799, None),
        (4_102_444_800, None),
        (946_684_800_000, "2000-01-01T00:00:00Z"),
        (4_102_444_800_000, None),
        (17, None),
        ("2025-05-05T09:08:09+02:00", "2025-05-05T07:08:09Z"),
        (datetime(2025, 5, 5, 7, 8, 9, tzinfo=UTC), "2025-05-05T07:08:09Z"),
        ({}, None),
        (None, None),
    ],
)
def test_of_a_value_of_any_kind_only_what_can_be_a_time_is_one(value, expected):
    assert from_value(value) == expected


@given(anything)
def test_nothing_raises_and_what_comes_out_can_be_read_again(value):
    for found in (from_text(value, PRAGUE), from_seconds(value), from_milliseconds(value), from_value(value)):
        assert found is None or found.endswith("Z")
        assert found is None or from_text(found) == found
