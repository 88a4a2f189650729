"""Compressed bodies are inflated, within bounds."""

import bz2
import gzip
import lzma
import tracemalloc
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.codings.inflating import CODINGS, TooLarge, inflated
from tests.support.packing import PACKERS, packed, wide_zstd, zipped

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
    "bzip2": bz2.compress(BODY),
    "streams": bz2.compress(BODY[:9]) + bz2.compress(BODY[9:]),
    "xz": lzma.compress(BODY),
    "lzma": lzma.compress(BODY, lzma.FORMAT_ALONE),
    "br": packed("br", BODY),
    "zstd": packed("zstd", BODY),
    "frames": packed("zstd", BODY[:9]) + packed("zstd", BODY[9:]),
    "zip": zipped(BODY),
}


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", "gzip"),
        ("gzip", "members"),
        ("gzip", "zlib"),  # what kombu calls gzip
        ("deflate", "zlib"),
        ("deflate", "raw"),
        ("deflate", "gzip"),
        ("bzip2", "bzip2"),
        ("bzip2", "streams"),
        ("xz", "xz"),
        ("xz", "lzma"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("zstd", "frames"),
        ("zip", "zip"),
    ],
)
def test_a_compressed_body_is_inflated(coding, packed):
    assert inflated(PACKED[packed], coding, LIMIT) == BODY


@pytest.mark.parametrize("coding", sorted(CODINGS))
@pytest.mark.parametrize("wrong", ["empty", "something else", "cut off", "with a rest"])
def test_what_is_corrupt_or_cut_off_is_nothing(coding, wrong):
    whole = PACKED[coding if coding != "deflate" else "zlib"]
    cut = whole[:-3] if coding != "zip" else whole[:40]
    body = {"empty": b"", "something else": BODY, "cut off": cut, "with a rest": whole + b"rest"}[wrong]
    expected = BODY if (coding, wrong) == ("zip", "with a rest") else None  # its directory stands there
    assert inflated(body, coding, LIMIT) == expected


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", PACKED["gzip"][:-8] + b"\0" * 8),
        ("gzip", PACKED["raw"]),
        ("deflate", PACKED["raw"] + b"rest"),
        ("gzip", gzip.compress(b"", mtime=0) * 1001),
        ("zip", zipped(BODY, zipfile.ZIP_BZIP2)),
        # needs far more memory than any preset of xz
        ("xz", lzma.compress(BODY, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 29}])),
        ("zstd", wide_zstd(BODY * 20_000)),
    ],
)
def test_what_is_broken_or_costs_too_much_is_nothing(coding, body):
    assert inflated(body, coding, LIMIT) is None


def test_the_limit_holds_for_what_comes_out():
    packed = gzip.compress(b"x" * 10_000)
    assert inflated(packed, "gzip", 10_000) == b"x" * 10_000
    with pytest.raises(TooLarge):
        inflated(packed, "gzip", 9_999)


def test_a_megabyte_of_one_letter_is_no_bomb():
    assert inflated(gzip.compress(b"A" * 1_048_576), "gzip", LIMIT) == b"A" * 1_048_576


@pytest.mark.parametrize("coding", sorted(CODINGS))
def test_a_bomb_is_given_up_before_it_fills_the_memory(coding):
    bomb = PACKERS[coding](b"\0" * 60_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            inflated(bomb, coding, LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 45_000_000  # of which 8 are the window of xz
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=200), st.sampled_from(sorted(CODINGS)))
def test_no_body_raises(body, coding):
    result = inflated(body, coding, 1000)
    assert result is None or len(result) <= 1000
    assert inflated(PACKERS[coding](body), coding, 1000) == body


@pytest.mark.timeout(5)  # with a copy of the rest behind each member it took half a minute
@pytest.mark.parametrize(("rest", "expected"), [(b"\0", b""), (b"\0\1", None), (b"\1\0", None)])
def test_many_members_before_a_long_rest_take_no_time(rest, expected):
    body = gzip.compress(b"") * 900 + rest * (8_388_608 // len(rest))
    assert inflated(body, "gzip", LIMIT) == expected
