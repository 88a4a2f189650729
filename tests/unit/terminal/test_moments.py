"""Times as people type them."""

from datetime import UTC, datetime

import pytest

from bridge.core.errors import SettingsError
from bridge.terminal.options import moment

NOW = datetime(2025, 5, 5, 7, 8, 9, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("1h", "2025-05-05T06:08:09.250Z"),
        ("-1h", "2025-05-05T06:08:09.250Z"),
        ("2h30m", "2025-05-05T04:38:09.250Z"),
        ("7d", "2025-04-28T07:08:09.250Z"),
        ("now", "2025-05-05T07:08:09.250Z"),
        ("today", "2025-05-05T00:00:00.000Z"),
        ("yesterday", "2025-05-04T00:00:00.000Z"),
        ("2025-05-01", "2025-05-01T00:00:00.000Z"),
        ("2025-05-01 10:00", "2025-05-01T10:00:00.000Z"),
        ("2025-05-01T10:00:00+02:00", "2025-05-01T08:00:00.000Z"),
        ("2025-05-01T10:00:00.5Z", "2025-05-01T10:00:00.500Z"),
    ],
)
def test_a_time_is_what_people_mean(typed: str, meant: str):
    assert moment(typed, "--since", NOW) == meant


@pytest.mark.parametrize("typed", ["", "soon", "1746428889", "1y", "2025-13-01", "99999999999d", "h", "infs"])
def test_what_is_no_time_is_wrong_usage_that_names_the_option(typed: str):
    with pytest.raises(SettingsError, match=r"--since: .* is no time"):
        moment(typed, "--since", NOW)


def test_a_day_that_ends_a_span_is_meant_with_all_of_it():
    assert moment("2025-05-01", "--until", NOW) == "2025-05-02T00:00:00.000Z"
    assert moment("today", "--until", NOW) == "2025-05-06T00:00:00.000Z"
    assert moment("1h", "--until", NOW) == moment("1h", "--since", NOW)


def test_no_time_stays_none():
    assert moment(None, "--since") is None
