"""Moments as people ask for them."""

import contextlib
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.measuring.spans import moment

NOW = datetime(2025, 5, 5, 7, 8, 9, 250000, tzinfo=UTC)


def told(text: str, *, end: bool = False) -> datetime:
    return datetime.fromtimestamp(moment(text, NOW.timestamp(), end=end), UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2025-05-05T07:08:09.250"),
        ("NOW", "2025-05-05T07:08:09.250"),
        ("-7d", "2025-04-28T07:08:09.250"),
        ("-24h", "2025-05-04T07:08:09.250"),
        ("-90m", "2025-05-05T05:38:09.250"),
        ("-30s", "2025-05-05T07:07:39.250"),
        ("-2w", "2025-04-21T07:08:09.250"),
        ("-30 days", "2025-04-05T07:08:09.250"),
        ("-1 day", "2025-05-04T07:08:09.250"),
        ("now-1h", "2025-05-05T06:08:09.250"),
        ("now -1 hour", "2025-05-05T06:08:09.250"),
        ("7 days ago", "2025-04-28T07:08:09.250"),
        ("-1 month", "2025-04-05T07:08:09.250"),
        ("-1 year", "2024-05-05T07:08:09.250"),
        ("7d", "2025-04-28T07:08:09.250"),
        ("2h30m", "2025-05-05T04:38:09.250"),
        ("0001-01-01T00:00:00+14:00", "1970-01-01"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59"),
        ("+1h", "2025-05-05T08:08:09.250"),
        ("today", "2025-05-05T00:00:00"),
        ("yesterday", "2025-05-04T00:00:00"),
        ("2025-03-01", "2025-03-01T00:00:00"),
        ("2025-03-01T12:30:00Z", "2025-03-01T12:30:00"),
        ("2025-03-01t12:30:00z", "2025-03-01T12:30:00"),
        ("2025-03-01T12:30:00.5+02:00", "2025-03-01T10:30:00.500"),
        ("2025-03-01T12:30:00 02:00", "2025-03-01T10:30:00"),
        ("2025-03-01T12:30", "2025-03-01T12:30:00"),
        ("2025-03-01 12:30:00", "2025-03-01T12:30:00"),
    ],
)
def test_a_moment_is_what_people_mean_by_it(text, expected):
    assert told(text) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("today", "2025-05-06"), ("yesterday", "2025-05-05"), ("2025-03-31", "2025-04-01")],
)
def test_a_day_that_ends_a_span_is_within_it(text, expected):
    assert told(text, end=True) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["now", "-7d", "2025-03-01T12:30:00Z"])
def test_a_moment_within_a_day_is_the_same_at_both_ends_of_a_span(text):
    assert told(text) == told(text, end=True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "-7",
        "-7x",
        "--7d",
        "+7 days ago",
        "2025-02-30",
        "2025-13-01",
        "2025-03-01T25:00:00Z",
        "2025-03-01T12:30:00+99:00",
        "-999999w",
        "+999999 years",
        "1960-01-01",
        "\u0662\u0660\u0662\u0665-03-01",
        "-\u0667d",
        "0x7d",
        "1e9",
        "-7d" + " " * 100 + "x",
    ],
)
def test_what_is_no_moment_is_said_to_be_none(text):
    with pytest.raises(ValueError, match="must be RFC 3339"):
        told(text)


@given(st.integers(0, 999_999), st.sampled_from(["s", "m", "h", "d", "w"]), st.booleans())
def test_so_long_ago_is_that_long_before_now(number, unit, end):
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}[unit] * number
    if seconds > NOW.timestamp():
        return
    assert NOW - told(f"-{number}{unit}", end=end) == timedelta(seconds=seconds)


@given(st.text(max_size=80))
@example("-1month")
@example("now now")
@example("0000-00-00")
@example("0001-01-01T00:00:00+23:59")
@example("9999-12-31T23:59:59-23:59")
def test_any_text_is_a_moment_or_refused(text):
    with contextlib.suppress(ValueError):
        assert 0 <= moment(text, NOW.timestamp()) <= 253_402_300_800


@given(st.dates(date(1970, 1, 1), date(9998, 12, 31)))
def test_a_date_lasts_a_day(day):
    assert told(day.isoformat(), end=True) - told(day.isoformat()) == timedelta(days=1)


@given(st.integers(0, 600))
def test_months_ago_is_a_day_of_that_month(months):
    found = told(f"-{months} months")

    assert (NOW.year * 12 + NOW.month) - (found.year * 12 + found.month) == months
