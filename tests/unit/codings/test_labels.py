"""What publishers write into `content_encoding`, `content_type` and kombu's header, and what it means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.codings.labels import charset_of, labels_of
from bridge.core.event import Message


def labels(encoding=None, kind=None, **headers):
    return labels_of(Message(b"", content_encoding=encoding, content_type=kind, headers=headers))


@pytest.mark.parametrize(
    ("told", "codings", "charset"),
    [
        ("gzip", ("gzip",), None),
        ("GZIP", ("gzip",), None),
        (" x-gzip ", ("gzip",), None),
        ("gzip, UTF-8", ("gzip",), None),
        ("gzip:UTF-8", ("gzip",), None),
        ("gzip;charset=utf-8", ("gzip",), None),
        ("utf-8, gzip", ("gzip",), None),
        ("UTF8 gzip", ("gzip",), None),
        ("utf-16|deflate", ("deflate",), "utf-16"),
        ("deflate, gzip", ("deflate", "gzip"), None),
        ("zlib", ("deflate",), None),
        ("br", ("br",), None),
        ("Zstd", ("zstd",), None),
        ("application/x-bz2", ("bzip2",), None),
        ("identity,gzip", ("gzip",), None),
        ("ISO-8859-1", (), "iso8859-1"),
        ("latin1", (), "iso8859-1"),
        ("windows-1252", (), "cp1252"),
        ("Shift_JIS", (), "shift_jis"),
        ("us-ascii", (), None),
        ("utf-8", (), None),
        ("binary", (), None),
        ("", (), None),
    ],
)
def test_codings_and_character_sets_are_told_apart(told, codings, charset):
    found = labels(told)
    assert (found.codings, found.charset, found.unknown) == (codings, charset, "")


@pytest.mark.parametrize(
    "told", ["aes-256", "no such thing", "rot13", "idna", "unicode_escape", "\ud800", "x" * 9999]
)
def test_a_word_that_nobody_knows_is_remembered_and_changes_nothing(told):
    found = labels(told)
    assert (found.codings, found.charset, found.unknown) == ((), None, told.split()[0])


@pytest.mark.parametrize(
    ("kind", "charset"),
    [
        ("application/json; charset=ISO-8859-2", "iso8859-2"),
        ('application/json;charset="windows-1251"', "cp1251"),
        ("text/plain; a=b; CHARSET='koi8-u'; c=d", "koi8-u"),
        ("application/json; charset=utf-8", None),
        ("application/json", None),
    ],
)
def test_the_content_type_tells_the_character_set_too(kind, charset):
    assert labels(None, kind).charset == charset
    assert labels("utf-8", kind).charset == charset
    assert labels(None, kind).content_type == kind


@pytest.mark.parametrize(
    ("compression", "codings"),
    [
        ("application/x-gzip", ("deflate",)),  # zlib's bytes, whatever they call it
        ("application/x-bz2", ("bzip2",)),
        ("application/x-lzma", ("xz",)),
        ("application/x-brotli", ("br",)),
        ("application/zstd", ("zstd",)),
        ("gzip", ("gzip",)),
        ("none", ()),
        (b"\xff", ()),
        (["gzip"], ()),
        (True, ()),
    ],
)
def test_kombu_tells_it_in_a_header_of_its_own(compression, codings):
    assert labels("utf-8", "application/json", compression=compression).codings == codings


def test_a_coding_told_twice_was_applied_once():
    assert labels("gzip", compression="gzip").codings == ("gzip",)
    assert labels("gzip", compression="application/x-gzip").codings == ("gzip",)
    assert labels("deflate", compression="application/x-bz2").codings == ("deflate", "bzip2")


@pytest.mark.parametrize(
    ("encoding", "compression", "to_receivers"),
    [
        ("utf-8, X-GZIP", None, "gzip"),
        ("deflate, gzip", None, "deflate, gzip"),
        ("utf-8", "application/x-gzip", "deflate"),
        ("utf-8", "application/x-bz2", "bzip2"),
        ("compress", None, "compress"),
        ("base64", None, None),
        ("utf-8", None, None),
        (None, None, None),
    ],
)
def test_receivers_are_told_what_their_body_has_in_the_words_of_http(encoding, compression, to_receivers):
    headers = {"compression": compression} if compression else {}
    assert labels(encoding, **headers).content_encoding == to_receivers


def test_receivers_learn_the_character_set_that_only_the_broker_was_told():
    assert labels("ISO-8859-1", "text/plain").content_type == "text/plain; charset=iso-8859-1"
    assert labels("ISO-8859-1", "text/plain; charset=utf-8").content_type == "text/plain; charset=utf-8"
    assert labels("utf-8", "text/plain").content_type == "text/plain"


@given(st.text(max_size=30))
def test_whatever_stands_there_is_read(text):
    labels(text, f"a/b; charset={text}", compression=text)
    charset_of(text)
