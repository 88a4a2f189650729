"""JSON as it is written, golden values from PHP's own sources and documentation."""

import json
import math
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.bodies.exact import php_float, php_json, to_json
from bridge.core.delivery import Answer
from tests.support.bodies import ANYTHING, JSON_VALUES


def test_integers_of_any_size_and_lone_surrogates_keep_their_value():
    data = {"big": 123456789012345678901234567890, "cut": "\ud83d", "float": 0.1}
    for spell in (to_json, php_json):
        text = spell(data)
        assert isinstance(text, bytes)
        assert json.loads(text) == data


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"\xff\x00", b'"/wA="'),
        (Decimal("1.10"), b'"1.10"'),
        (datetime(2025, 3, 14, 8, 26, 53, tzinfo=UTC), b'"2025-03-14T08:26:53Z"'),
        (datetime.fromisoformat("2025-03-14T08:26:53"), b'"2025-03-14T08:26:53Z"'),
        ("\ud83d", b'"\\ud83d"'),
    ],
)
def test_values_of_header_tables_can_be_written(value, text):
    assert to_json([value]) == b"[" + text + b"]"
    assert to_json([value, 2**64]) == b"[" + text + b",18446744073709551616]"


@given(JSON_VALUES)
def test_php_spelling_reads_back_and_is_ascii(data):
    text = php_json(data)
    assert isinstance(text, bytes)
    assert text.isascii()
    assert json.loads(text) == data


@given(ANYTHING)
def test_any_value_is_written_or_refused(data):
    for spell in (to_json, php_json):
        text = spell(data)
        if isinstance(text, bytes):
            json.loads(text)
        else:
            assert isinstance(text, Answer)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a/b", r'"a\/b"'),
        ("<b>'&\"\\", r'''"<b>'&\"\\"'''),
        ("\b\f\n\r\t\x00\x1f", r'"\b\f\n\r\t\u0000\u001f"'),
        ("\x7f", '"\x7f"'),
        ("\\u007f \x7f", '"\\\\u007f \x7f"'),
        ("\\\x7f", '"\\\\\x7f"'),
        ("Ž\u2028株🚀", r'"\u017d\u2028\u682a\ud83d\ude80"'),
        ({"a/b": []}, r'{"a\/b":[]}'),
        ({"k": {}, "l": None, "t": True}, '{"k":{},"l":null,"t":true}'),
        ([1.0, -0.0, 12.5, 0.1], "[1.0,-0.0,12.5,0.1]"),
        ([1e-7, 1.5e-7, 0.0001, 0.00001], "[1.0e-7,1.5e-7,0.0001,1.0e-5]"),
        ([1e15, 1e16, 1e17, 1.2e25], "[1000000000000000.0,10000000000000000.0,1.0e+17,1.2e+25]"),
        ([-1e-300, 1.7976931348623157e308], "[-1.0e-300,1.7976931348623157e+308]"),
        ("1e-07 2e+25", '"1e-07 2e+25"'),
        ({"1e-07": 1e-07}, '{"1e-07":1.0e-7}'),
        (9223372036854775808, "9223372036854775808"),
    ],
)
def test_php_writes_it_like_this(value, text):
    assert php_json(value) == text.encode()


@pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf]])
def test_php_has_no_word_for_what_is_no_number(value):
    assert isinstance(php_json(value), Answer)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_php_floats_read_back(number):
    assert float(php_float(number)) == number


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.0, "1"),
        (-0.0, "-0"),
        (0.1, "0.1"),
        (1e-7, "1.0E-7"),
        (12345678901234567.0, "12345678901234568"),
        (1e17, "1.0E+17"),
        (123456789012345680000.0, "1.2345678901234568E+20"),
        (math.nan, "NAN"),
        (-math.inf, "-INF"),
    ],
)
def test_php_floats_as_text(number, text):
    assert php_float(number, "E") == text


# ---- large values: others have their turn meanwhile --------------------------------------------------------

BIG = 2**70
LARGE = [
    {"rows": [BIG, *[[] for _ in range(60_000)]]},
    {"rows": {f"k{number}": number / 7 for number in range(40_000)}, "big": BIG, "last": "x" * 300_000},
    [[[["é/\x7f" * 300_000, {"k" * 700_000: [BIG] * 9000}], BIG], {}], []],
    {"cut": ["\ud83d" * 600_000, "\ud83d\ude00" * 300_000, 1e-7, BIG]},
    [{"id": BIG + number, "a": [1, {"b": None}], "t": "é"} for number in range(9000)],
]


@pytest.mark.parametrize("value", LARGE, ids=range(len(LARGE)))
def test_large_values_are_written_as_small_ones_are(value):
    whole = json.dumps(value, separators=(",", ":"))
    assert to_json(value) == whole.encode()
    php = php_json(value)
    assert isinstance(php, bytes)
    assert json.loads(php) == json.loads(whole)
    assert php.count(b",") == whole.count(",")


@given(JSON_VALUES)
def test_a_value_is_written_alike_in_one_piece_and_in_many(data):
    filled = {"data": data, "filler": [BIG] * 5000}
    assert to_json(filled) == json.dumps(filled, separators=(",", ":")).encode()


@contextmanager
def others() -> Iterator[list[int]]:
    """Counts how often another thread that wants to run is let."""
    turns, done = [0], threading.Event()

    def run() -> None:
        while not done.wait(0.0005):
            turns[0] += 1

    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield turns
    finally:
        done.set()
        thread.join()
        sys.setswitchinterval(interval)


@pytest.mark.parametrize("spell", [to_json, php_json])
def test_other_threads_run_while_a_large_value_is_written(spell):
    value = {"rows": [BIG, *[[] for _ in range(200_000)]], "text": "a/" * 1_500_000}
    with others() as turns:
        text = spell(value)
    assert isinstance(text, bytes)
    assert turns[0] > 10, "json.dumps alone lets them run two or three times"
