"""What a message says was done to its body: its content codings and its character set.

AMQP 0-9-1 says no more of `content_encoding` than "MIME content encoding", so publishers write codings, character sets
and both into it, in either order. RFC 9110 section 8.4 has codings in the order in which they were applied; Spring AMQP
puts what it applied last first (`gzip:UTF-8`, `gzip, UTF-8`). kombu compresses whole bodies and says so in the header
`compression`, whose `application/x-gzip` are zlib's bytes.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from bridge.model.event import Message
from bridge.model.value import value
from bridge.rules.codings.charsets import UTF_8, charset_of

COMPRESSION = "compression"
"""kombu's header."""

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
"""Codings with names that receivers of HTTP may know; a base64 text is what it is without a word."""
_NOTHING = frozenset(
    {"", "identity", "binary", "none", "null", "7bit", "8bit", "raw", "plain", "text", "string", "json"}
)
_BETWEEN = re.compile(r"[\s,;:|+]+")
_CHARSET = re.compile(r";\s*charset\s*=\s*[\"']?([^\s;\"']+)[\"']?", re.IGNORECASE)
_LONGEST = 255


@value(frozen=True, slots=True)
class Labels:
    """`codings` in the order in which they were applied; `charset` None is UTF-8.

    `unknown` is the first word that names neither, which changes nothing: a body that is JSON all the same is read.
    `content_encoding` and `content_type` are what a receiver is told of the body as it is, the second one None where
    the message tells none.
    """

    codings: tuple[str, ...] = ()
    charset: str | None = None
    unknown: str = ""
    content_encoding: str | None = None
    content_type: str | None = None


def labels_of(message: Message) -> Labels:
    """What the message says of its body."""
    compression = message.headers.get(COMPRESSION) if message.headers else None
    if not isinstance(compression, str) or len(compression) > _LONGEST:
        compression = ""
    return _labels(message.content_encoding or "", message.content_type or "", compression)


def without_charset(content_type: str) -> str:
    """The content type without what it says of the character set."""
    return _CHARSET.sub("", content_type)


@lru_cache(maxsize=1024)
def _labels(content_encoding: str, content_type: str, compression: str) -> Labels:
    is_multipart = content_type.lstrip().lower().startswith("multipart/")  # each part has its own
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
    """The codings, the first character set, and the first word that is neither."""
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
