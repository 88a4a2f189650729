"""Types that patterns and columns can hold, and ids that headers can."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import encode
from pamqp.common import FieldTable

from bridge.formats.text import event_type, table_size, text_of, webhook_id

any_text = st.text(st.characters(codec=None))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("customers.create", "customers.create"),
        ("  padded\n", "padded"),
        ("with space.and_more", "with space.and_more"),
        ("a\x00b\x1fc\x7fd", "a\ufffdb\ufffdc\ufffdd"),
        ("\ud800x", "\ufffdx"),
        ("žluťoučký.kůň", "žluťoučký.kůň"),
        ("a" * 300, "a" * 255),
        ("€" * 100, "€" * 85),
        ("", ""),
    ],
)
def test_a_type_is_made_fit(text, expected):
    assert event_type(text) == expected


@given(any_text)
def test_a_fit_type_stays_as_it_is(text):
    fit = event_type(text)
    assert event_type(fit) == fit
    assert len(fit.encode()) <= 255


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        ("", None),
        (b"text", "text"),
        (bytearray(b"text"), "text"),
        (b"a\xff", "a\ufffd"),
        (b"", None),
        (17, "17"),
        pytest.param(10**5000, None, id="5,000 digits"),
        (True, None),
        (1.5, None),
        (None, None),
        (["text"], None),
    ],
)
def test_text_is_read_from_strings_bytes_and_integers(value, expected):
    assert text_of(value) == expected


@given(any_text, any_text, st.binary(max_size=50))
def test_a_webhook_id_is_a_uuid_that_says_it_is_version_8(source, publisher_id, body):
    found = webhook_id(source, publisher_id, body)
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", found)
    assert found == webhook_id(source, publisher_id, body)


def test_source_id_and_body_all_make_a_difference_and_do_not_run_together():
    ids = {
        webhook_id("a", "b", b"c"),
        webhook_id("ab", "", b"c"),
        webhook_id("", "ab", b"c"),
        webhook_id("a", "bc", b""),
        webhook_id("a", "b", b"d"),
        webhook_id("a", "1:b", b"c"),
    }
    assert len(ids) == 6


def test_a_webhook_id_never_changes_between_releases():
    assert webhook_id("splynx", "m-1", b"{}") == "5817d2f3-ca0f-8e89-acca-6e1bdb983683"


@pytest.mark.parametrize(
    ("table", "encoded"),
    [
        ({}, 4),
        ({"a": "bc"}, 4 + 2 + 1 + 4 + 2),
        ({"é": "é"}, 4 + 3 + 1 + 4 + 2),
        ({"a": b"\xff"}, 4 + 2 + 1 + 4 + 1),
        ({"a": 5, "b": 2.5}, 4 + 2 * (2 + 1 + 8)),
        ({"a": None}, 4 + 2 + 1),
        ({"a": [1]}, 4 + 2 + 5 + 9),
        ({"a": {"b": None}}, 4 + 2 + 5 + 3),
    ],
)
def test_the_size_of_a_table_is_that_of_its_encoding(table, encoded):
    assert table_size(table) == encoded


def test_a_table_is_never_measured_smaller_than_pamqp_encodes_it():
    table: FieldTable = {
        "text": "žluť",
        "raw": bytearray(b"\xff\x00"),
        "flag": True,
        "small": 1,
        "large": 2**40,
        "share": 0.5,
        "price": Decimal("1.25"),
        "at": datetime(2025, 1, 1, tzinfo=UTC),
        "none": None,
        "rows": [1, "a", {"deep": [None, True]}],
    }
    assert table_size(table) >= len(encode.field_table(table))


def test_a_deeply_nested_table_is_measured():
    table: dict[str, Any] = {}
    for _ in range(20_000):
        table = {"a": table}
    assert table_size(table) == 4 + 20_000 * 7
