"""Bodies that came compressed are read, within bounds."""

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.rules.formats.codings import uncoded

BODY = b'{"a": [1, 2, 3], "text": "' + b"x" * 2000 + b'"}'
LIMIT = 134_217_728


def raw_deflate(body: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packing.compress(body) + packing.flush()


PACKED = {
    "gzip": gzip.compress(BODY, mtime=0),
    "zlib": zlib.compress(BODY),
    "raw": raw_deflate(BODY),
    "members": b"".join(gzip.compress(part, mtime=0) for part in (BODY[:50], b"", BODY[50:])) + b"\0" * 512,
}


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        (" GZip ", "gzip"),
        ("gzip", "members"),
        ("gzip", "zlib"),  # what kombu calls gzip
        ("deflate", "zlib"),
        ("deflate", "raw"),
        ("deflate", "gzip"),
        ("utf-8, gzip", "gzip"),
        ("identity,gzip", "gzip"),
    ],
)
def test_a_compressed_body_is_read(coding, packed):
    assert uncoded(PACKED[packed], coding, LIMIT) == BODY


def test_codings_in_a_row_are_undone_last_one_first():
    twice = gzip.compress(raw_deflate(BODY))
    assert uncoded(twice, "deflate, gzip", LIMIT) == BODY
    assert uncoded(twice, "deflate", LIMIT) == raw_deflate(BODY)
    assert uncoded(gzip.compress(gzip.compress(twice)), "deflate, gzip, gzip, gzip", LIMIT) == BODY


def test_more_codings_than_anybody_uses_are_not_undone():
    assert uncoded(BODY, ",".join(["gzip"] * 5), LIMIT) is None


@pytest.mark.parametrize("told", ["utf-8", "UTF-8", "", "br", "identity", "\ud800", "8bit", "gzipped"])
def test_what_names_no_known_coding_leaves_the_body_as_it_is(told):
    assert uncoded(BODY, told, LIMIT) is BODY


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", b""),
        ("gzip", BODY),
        ("gzip", PACKED["gzip"][:-1]),
        ("gzip", PACKED["gzip"][:-8] + b"\0" * 8),
        ("gzip", PACKED["gzip"] + b"rest"),
        ("gzip", PACKED["raw"]),
        ("deflate", b""),
        ("deflate", BODY),
        ("deflate", PACKED["zlib"][:-2]),
        ("deflate", PACKED["raw"] + b"rest"),
        ("deflate, gzip", PACKED["gzip"]),
        ("gzip", gzip.compress(b"", mtime=0) * 1001),
    ],
)
def test_what_is_corrupt_or_cut_off_is_nothing(coding, body):
    assert uncoded(body, coding, LIMIT) is None


def test_the_limit_holds_for_what_comes_out():
    packed = gzip.compress(b"x" * 10_000)
    assert uncoded(packed, "gzip", 10_000) == b"x" * 10_000
    assert uncoded(packed, "gzip", 9_999) is None


def test_a_megabyte_of_one_letter_is_no_bomb():
    assert uncoded(gzip.compress(b"A" * 1_048_576), "gzip", LIMIT) == b"A" * 1_048_576


@pytest.mark.parametrize("layers", [1, 2])
def test_a_bomb_is_given_up_before_it_fills_the_memory(layers):
    bomb = b"\0" * 120_000_000
    for _ in range(layers):
        bomb = gzip.compress(bomb)
    tracemalloc.start()
    try:
        assert uncoded(bomb, ",".join(["gzip"] * layers), LIMIT) is None
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate", "gzip,deflate", "deflate,gzip,utf-8"]))
def test_no_body_raises(body, coding):
    result = uncoded(body, coding, 1000)
    assert result is None or len(result) <= 1000
    assert uncoded(gzip.compress(body), "gzip", 1000) == body
    assert uncoded(raw_deflate(body), "deflate", 1000) == body


@pytest.mark.timeout(5)  # with a copy of the rest behind each member it took half a minute
@pytest.mark.parametrize(("rest", "expected"), [(b"\0", b""), (b"\0\1", None), (b"\1\0", None)])
def test_many_members_before_a_long_rest_take_no_time(rest, expected):
    body = gzip.compress(b"") * 900 + rest * (8_388_608 // len(rest))
    assert uncoded(body, "gzip", LIMIT) == expected
