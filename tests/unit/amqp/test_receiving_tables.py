"""Header tables: read as the AMQP library reads them, and also where it cannot."""

import struct
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import decode

from bridge.amqp.codec import DEEPEST, read_table, read_time, write_table

REFUSALS = (IndexError, KeyError, ValueError, struct.error)


def text(octets: bytes) -> bytes:
    return struct.pack(">I", len(octets)) + octets


def table(*fields: tuple[bytes, bytes]) -> bytes:
    return text(b"".join(bytes([len(name)]) + name + value for name, value in fields))


def numbers(layout: str, kind: bytes):
    size = struct.calcsize(layout)
    return st.binary(min_size=size, max_size=size).map(lambda octets: kind + octets)


SCALARS = st.one_of(
    st.binary(max_size=20).map(lambda octets: b"S" + text(octets)),
    st.text(max_size=20).map(lambda string: b"S" + text(string.encode("utf-8", "surrogatepass"))),
    st.binary(max_size=20).map(lambda octets: b"x" + text(octets)),
    st.sampled_from([b"V", b"\0", b"t\0", b"t\1", b"t\7"]),
    *(
        numbers(layout, kind)
        for layout, kind in (
            (">b", b"b"),
            (">B", b"B"),
            (">h", b"s"),
            (">H", b"u"),
            (">i", b"I"),
            (">I", b"i"),
            (">q", b"l"),
            (">q", b"L"),
            (">f", b"f"),
            (">d", b"d"),
        )
    ),
    st.integers(0, 253_402_300_799_000).map(lambda seconds: b"T" + struct.pack(">Q", seconds)),
    st.tuples(st.integers(0, 255), st.integers(0, 2**31 - 1)).map(
        lambda pair: b"D" + struct.pack(">Bi", *pair)
    ),
)
NAMES = st.text(max_size=20).map(lambda name: name.encode("utf-8", "replace"))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda values: b"A" + text(b"".join(values))),
        st.lists(st.tuples(NAMES, inner), max_size=4).map(lambda fields: b"F" + table(*fields)),
    ),
    max_leaves=20,
)
TABLES = st.lists(st.tuples(NAMES, VALUES), max_size=6).map(lambda fields: table(*fields))


@given(TABLES, st.binary(max_size=4), st.binary(max_size=4))
def test_every_table_that_the_library_reads_is_read_alike(octets, before, behind):
    size, expected = decode.field_table(octets)

    found, end = read_table(before + octets + behind, len(before))

    assert repr(found) == repr(expected)  # as text: not-a-number does not equal itself
    assert end == len(before) + size


@given(st.binary(max_size=200))
def test_what_is_no_table_is_refused_with_few_kinds_of_errors(octets):
    with suppress(*REFUSALS):
        read_table(octets, 0)


@given(TABLES, st.data())
def test_a_table_whose_size_is_wrong_is_refused(octets, data):
    wrong = data.draw(st.integers(0, len(octets) + 10).filter(lambda size: size != len(octets) - 4))
    try:
        _, end = read_table(struct.pack(">I", wrong) + octets[4:], 0)
    except REFUSALS:
        return
    assert end != len(octets), "the frame around it notices"


def test_long_strings_that_are_not_utf_8_stay_bytes():
    assert read_table(table((b"a", b"S" + text(b"\xff\xfe"))), 0)[0] == {"a": b"\xff\xfe"}


def test_a_name_that_is_not_utf_8_is_told_with_escapes():
    assert read_table(table((b"caf\xe9", b"S" + text(b"x"))), 0)[0] == {r"caf\xe9": "x"}


def test_decimals_are_signed():
    assert read_table(table((b"a", b"D" + struct.pack(">Bi", 2, -125))), 0)[0] == {"a": Decimal("-1.25")}


def test_tables_within_tables_without_end_are_left_as_bytes():
    octets = table()
    for _ in range(5_000):
        octets = table((b"", b"F" + octets))

    found, end = read_table(octets, 0)

    depth = 0
    while isinstance(found, dict):
        found, depth = found[""], depth + 1
    assert isinstance(found, bytes)
    assert depth == DEEPEST + 1
    assert end == len(octets)


@pytest.mark.parametrize(
    ("wire", "meant"),
    [
        (1_742_000_000, datetime(2025, 3, 15, 0, 53, 20, tzinfo=UTC)),
        (1_742_000_000_000, datetime(2025, 3, 15, 0, 53, 20, tzinfo=UTC)),
        (1_742_000_000_000_000, datetime(2025, 3, 15, 0, 53, 20, tzinfo=UTC)),
        (1_742_000_000_000_000_000, datetime(2025, 3, 15, 0, 53, 20, tzinfo=UTC)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
    ],
    ids=["seconds", "milliseconds", "microseconds", "nanoseconds", "zero"],
)
def test_times_in_any_unit_are_found(wire, meant):
    assert read_time(struct.pack(">Q", wire), 0) == meant


@given(st.integers(0, 2**64 - 1))
def test_no_time_is_out_of_range(wire):
    assert read_time(struct.pack(">Q", wire), 0).tzinfo is UTC


WRITTEN = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(max_size=20),
        st.binary(max_size=20).map(bytearray),
        st.just(b"caf\xe9"),
        st.integers(-(2**31), 2**31 - 1).map(lambda digits: Decimal(digits).scaleb(-3)),
        st.just(datetime(2025, 3, 14, 9, 26, 53, tzinfo=UTC)),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=20), inner, max_size=4)),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(st.text(max_size=20), WRITTEN, max_size=6))
def test_what_is_written_is_read_again_as_it_was_by_us_and_by_the_library(table):
    octets = write_table(table)

    assert read_table(octets, 0) == (table, len(octets))
    if "caf\\xe9" not in repr(table) and "Decimal('-" not in repr(table):  # which the library reads otherwise
        assert decode.field_table(octets) == (len(octets), table)


@given(TABLES)
def test_whatever_was_read_can_be_written_and_stays_what_it_was(octets):
    """Only the fraction of a second that a time may have is lost: AMQP has whole seconds."""
    written = write_table(read_table(octets, 0)[0])

    assert write_table(read_table(written, 0)[0]) == written


@pytest.mark.parametrize(
    ("value", "text"), [(2**63, str(2**63)), (-(2**64), str(-(2**64))), (Decimal("1e30"), "1E+30")]
)
def test_numbers_that_no_table_holds_are_text(value, text):
    assert read_table(write_table({"a": value}), 0)[0] == {"a": text}


def test_a_name_of_255_bytes_is_kept_whole():
    assert read_table(write_table({"n" * 255: 1}), 0)[0] == {"n" * 255: 1}


@pytest.mark.parametrize("value", [object(), {1}, 1j])
def test_what_no_table_holds_is_refused(value):
    with pytest.raises(TypeError):
        write_table({"a": value})


def test_tables_within_tables_without_end_are_refused():
    table: dict[str, object] = {}
    for _ in range(5_000):
        table = {"": table}
    with pytest.raises(ValueError, match="deep"):
        write_table(table)
