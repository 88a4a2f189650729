"""How values look on pages."""

import pytest

from bridge.ui.words import duration, mark, milliseconds, short_id, size, visible


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (119, "119 s"),
        (120, "2 min"),
        (1860, "31 min"),
        (7200, "2 h"),
        (172_800, "2 d"),
        (-5, "0 s"),
    ],
)
def test_a_duration_has_one_unit(seconds: float, told: str):
    assert duration(seconds) == told


@pytest.mark.parametrize(
    ("value", "told"),
    [(None, ""), (0.512, "0.512 ms"), (12.54, "12.5 ms"), (1234.4, "1,234 ms"), (31_000, "31 s")],
)
def test_milliseconds_have_as_many_digits_as_tell_something(value: float | None, told: str):
    assert milliseconds(value) == told


def test_sizes_are_in_bytes_kilobytes_and_megabytes():
    assert [size(n) for n in (0, 999, 1000, 1_500_000, None)] == ["0 B", "999 B", "1.0 kB", "1.5 MB", ""]


def test_an_id_is_cut_in_the_middle():
    assert short_id("01987a5c-2f3e-7cc1-9d11-5b1f2f5e0a77") == "01987a5c…0a77"
    assert short_id("short") == "short"


def test_controls_and_bidi_overrides_are_written_as_escapes_and_the_rest_stays():
    assert visible("a\x00b\u202ec\nd") == "a\\x00b\\u202ec\nd"
    assert visible("zażółć 漢字 {{7*7}} <b>") == "zażółć 漢字 {{7*7}} <b>"


def test_an_unknown_status_keeps_its_word():
    assert mark("SUCCESS").word == "delivered"
    assert mark("new_one").word == "new_one"
