"""Character set names as publishers write them, and conversion of text to UTF-8."""

import codecs
import json
import re
from collections.abc import Mapping
from encodings import normalize_encoding
from encodings.aliases import aliases
from functools import lru_cache

from bridge.codings.amqp10 import SECTION
from bridge.core.base import value
from bridge.core.event import Message

_WITHOUT_ALIAS = {"cp720", "cp737", "cp856", "cp874", "cp875", "cp1006", "koi8_t", "koi8_u", "mac_arabic"}
_KNOWN = frozenset({*aliases, *aliases.values(), *_WITHOUT_ALIAS})
"""The names that are looked up: Python caches every unknown name that it is asked for."""
_NO_CHARSETS = frozenset(
    {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"}
)
_OTHERS = {"windows_874": "cp874", "utf8mb4": "utf_8", "utf_8_sig": "utf_8", "x_sjis": "shift_jis"}
UTF_8 = "utf-8"


def charset_of(name: str) -> str | None:
    """Returns Python's name of the character set, `utf-8` for ASCII too; None for an unknown name."""
    normal = normalize_encoding(name).lower()
    normal = _OTHERS.get(normal, normal)
    if normal not in _KNOWN or aliases.get(normal, normal) in _NO_CHARSETS:
        return None
    try:
        found = codecs.lookup(normal)
    except LookupError:  # pragma: no cover - all known character sets exist on Linux
        return None
    if not found._is_text_encoding:  # noqa: SLF001 - the only mark of rot13, bz2 and the like
        return None
    return UTF_8 if found.name in ("ascii", "utf-8") else found.name


def in_utf_8(text: bytes, charset: str) -> bytes | None:
    """Returns the text in UTF-8; None if it is not valid in that character set.

    UTF-16 and UTF-32 without a byte order mark are read in the byte order in which JSON can begin.
    """
    try:
        if charset in ("utf-16", "utf-32"):
            told = json.detect_encoding(text)
            charset = told if told.startswith(charset) else charset
        return text.decode(charset).encode()
    except ValueError:
        return None


# The declared encodings of a body: content codings and character set. AMQP 0-9-1 defines `content_encoding` only as
# "MIME content encoding", so publishers put codings, character sets or both into it, in either order. RFC 9110 section
# 8.4 lists codings in the order of application; Spring AMQP puts the last one first (`gzip:UTF-8`, `gzip, UTF-8`).
# kombu compresses whole bodies and declares it in the header `compression`, whose `application/x-gzip` is zlib.


COMPRESSION = "compression"
"""The header that kombu uses."""

_SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "gzip": ("gzip", "x-gzip", "gz", "gzipped", "application/gzip", "application/x-gzip"),
    "deflate": ("deflate", "x-deflate", "zlib", "application/zlib", "application/x-deflate"),
    "br": ("br", "brotli", "application/x-brotli"),
    "zstd": ("zstd", "x-zstd", "zstandard", "application/zstd"),
    "bzip2": ("bzip2", "x-bzip2", "bz2", "bzip", "application/x-bz2", "application/x-bzip2"),
    "xz": ("xz", "x-xz", "lzma", "x-lzma", "application/x-lzma", "application/x-xz"),
    "zip": ("zip", "x-zip", "application/zip"),
    "base64": ("base64",),
    "compress": ("compress", "x-compress"),
    "snappy": ("snappy", "x-snappy", "x-snappy-framed"),
    "lz4": ("lz4", "x-lz4"),
}
_CODINGS = {spelling: name for name, spellings in _SPELLINGS.items() for spelling in spellings}
_TO_HTTP = frozenset({"gzip", "deflate", "br", "zstd", "compress", "bzip2", "xz"})
"""Codings with names that HTTP receivers may know; base64 is not declared."""
_NOTHING = frozenset(
    {"", "identity", "binary", "none", "null", "7bit", "8bit", "raw", "plain", "text", "string", "json"}
)
_BETWEEN = re.compile(r"[\s,;:|+]+")
_CHARSET = re.compile(r";\s*charset\s*=\s*[\"']?([^\s;\"']+)[\"']?", re.IGNORECASE)
_LONGEST = 255


@value(frozen=True, slots=True)
class Labels:
    """The declared encodings: `codings` in the order of application; `charset` None is UTF-8.

    `unknown` is the first word that is neither; it changes nothing, because the body may be JSON regardless.
    `content_encoding` and `content_type` are the values for a receiver of the body as it is; `content_type` is None if
    the message has none.
    """

    codings: tuple[str, ...] = ()
    charset: str | None = None
    unknown: str = ""
    content_encoding: str | None = None
    content_type: str | None = None


def labels_of(message: Message) -> Labels:
    """Returns the encodings that the message declares."""
    compression = message.headers.get(COMPRESSION) if message.headers else None
    if not isinstance(compression, str) or len(compression) > _LONGEST:
        compression = ""
    return _labels(message.content_encoding or "", message.content_type or "", compression)


def is_plain(message: Message) -> bool:
    """Returns whether the body has no encoding to remove."""
    labels = labels_of(message)
    return not labels.codings and labels.charset is None and message.type != SECTION


def without_charset(content_type: str) -> str:
    """Returns the content type without its charset parameter."""
    return _CHARSET.sub("", content_type)


@lru_cache(maxsize=1024)
def _labels(content_encoding: str, content_type: str, compression: str) -> Labels:
    is_multipart = (
        content_type.lstrip().lower().startswith("multipart/")
    )  # each part of a multipart has its own charset
    told = None if is_multipart else _CHARSET.search(content_type)
    codings, word, unknown = _words(content_encoding)
    charset = charset_of(word) if word else None
    kombu = "deflate" if compression.lower() == "application/x-gzip" else _CODINGS.get(compression.lower())
    if kombu and not (kombu in codings or (kombu == "deflate" and "gzip" in codings)):
        codings = (*codings, kombu)
    if told:
        named = charset_of(told[1])
        charset, unknown = (named or charset, unknown if named else unknown or told[1])
    elif content_type and not is_multipart and charset not in (None, UTF_8):
        content_type = f"{content_type.strip()}; charset={word}"
    return Labels(
        codings,
        None if is_multipart or charset == UTF_8 else charset,
        unknown,
        ", ".join(name for name in codings if name in _TO_HTTP) or None,
        content_type or None,
    )


def _words(content_encoding: str) -> tuple[tuple[str, ...], str, str]:
    """Returns the codings, the first character set, and the first word that is neither."""
    codings: list[str] = []
    charset = unknown = ""
    for part in _BETWEEN.split(content_encoding.strip()):
        word = part.strip("\"'").lower().removeprefix("charset=")
        if word in _NOTHING:
            continue
        if coding := _CODINGS.get(word):
            codings.append(coding)
        elif charset_of(word):
            charset = charset or word
        else:
            unknown = unknown or word
    return tuple(codings), charset, unknown
