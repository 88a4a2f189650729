"""Decompression of bodies, bounded against decompression bombs: every decompression goes through `inflated`.

Sources: RFC 1950 to 1952 (zlib, deflate, gzip), RFC 7932 (brotli), RFC 8878 (zstd), the formats of bzip2 and xz, and
PKWARE's APPNOTE 4.3 (zip).
"""

import binascii
import bz2
import lzma
import sys
import zlib
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

import brotli

from bridge.codings.amqp10 import SECTION, told_type, value_of
from bridge.codings.labels import COMPRESSION, Labels, in_utf_8, is_plain, labels_of, without_charset
from bridge.core.base import value
from bridge.core.event import Message

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_MOST_MEMBERS = 1000
_CHUNK = 65_536
_ALWAYS_ALLOWED = 16_777_216
_MOST_TIMES = 100
"""The maximum compression ratio: the best that JSON reaches. deflate reaches 1,032, with megabytes only in bombs."""
_XZ_MEMORY = 96 * 1024 * 1024
"""The memory limit of xz, enough for its strongest preset; a header may demand 4 GiB."""
_ZSTD: Mapping[int, int] = {zstd.DecompressionParameter.window_log_max: 25}
"""32 MiB of window, as for level 19; RFC 9659 limits HTTP to 8 MiB."""
_ZIP_HEADER = 30
_ENCRYPTED = 1


class _Stream(Protocol):
    """The interface of a decompressor of one stream, as in the standard library."""

    @property
    def eof(self) -> bool:
        """Returns whether the end of the stream was reached."""

    @property
    def unused_data(self) -> bytes:
        """Returns the bytes after the end of the stream."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Returns the next output for `data`, at most `max_length` bytes."""


class _Brotli:
    """The Brotli decompressor, which raises for bytes after the end of the stream instead of reporting them (1.2)."""

    unused_data = b""

    def __init__(self) -> None:
        self._inner = brotli.Decompressor()

    @property
    def eof(self) -> bool:
        return bool(self._inner.is_finished())

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        found: bytes = self._inner.process(data, output_buffer_limit=max_length)
        return found


class _Corrupt(Exception):
    """The bytes are not a stream of that format."""


class TooLarge(Exception):
    """The decompressed body exceeds the limit."""


Open = Callable[[], _Stream]

_ERRORS = (zlib.error, OSError, lzma.LZMAError, zstd.ZstdError, brotli.error, EOFError, _Corrupt)


def _zlib(window: int) -> Open:
    return lambda: zlib.decompressobj(window)


# The decompressors to try for each coding, and whether several streams may follow each other.
_KINDS: Mapping[str, tuple[tuple[Open, bool], ...]] = {
    # Senders confuse gzip and zlib; the first bytes of the stream tell them apart.
    "gzip": ((_zlib(_GZIP_OR_ZLIB), True),),
    "deflate": ((_zlib(_GZIP_OR_ZLIB), False), (_zlib(-zlib.MAX_WBITS), False)),
    "bzip2": ((bz2.BZ2Decompressor, True),),
    "xz": ((lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY), True),),
    "br": ((_Brotli, False),),
    "zstd": ((lambda: zstd.ZstdDecompressor(options=_ZSTD), True),),
}
CODINGS = frozenset({*_KINDS, "zip"})
"""The supported content codings."""


def inflated(body: bytes, coding: str, most: int) -> bytes | None:
    """Returns the decompressed `body`, compressed with one of CODINGS; None if it is corrupt or truncated.

    Raises TooLarge beyond `most` bytes, and beyond a hundred times the compressed size (16 MiB are always allowed);
    never holds more output than that.
    """
    room = min(most, max(_ALWAYS_ALLOWED, _MOST_TIMES * len(body)))
    if coding == "zip":
        return _unzipped(body, room)
    for opened, members in _KINDS[coding]:
        try:
            return _inflated(body, room, opened, members=members)
        except _ERRORS:
            continue
    return None


def _inflated(body: bytes, most: int, opened: Open, *, members: bool, whole: bool = True) -> bytes:
    """Returns the output of all members of `body`; `whole`: trailing bytes are an error."""
    parts: list[bytes] = []
    stream, ended, room, at = opened(), 0, most, 0
    while at < len(body):
        chunk = body[at : at + _CHUNK]
        part = stream.decompress(chunk, room + 1)
        parts.append(part)
        room -= len(part)
        if room < 0:
            raise TooLarge
        at += len(chunk) - len(stream.unused_data)
        if stream.eof:
            ended += 1
            if not whole or at == len(body) or _is_padding(body, at):
                return b"".join(parts)
            if not members or ended == _MOST_MEMBERS:
                break
            stream = opened()
    raise _Corrupt


def _is_padding(body: bytes, at: int) -> bool:
    """Returns whether only zeros follow, which gzip writes to fill blocks.

    Checks in place: copying the rest after each of many members takes minutes.
    """
    return body[at] == 0 and body.count(0, at) == len(body) - at


def _unzipped(body: bytes, most: int) -> bytes | None:
    """Returns the first file of a zip archive (Spring AMQP) from its local header, without the directory."""
    if body[:4] != b"PK\x03\x04" or len(body) < _ZIP_HEADER:
        return None
    flags, method = (int.from_bytes(body[at : at + 2], "little") for at in (6, 8))
    names = sum(int.from_bytes(body[at : at + 2], "little") for at in (26, 28))
    if flags & _ENCRYPTED or method != zlib.DEFLATED:
        return None
    try:
        return _inflated(
            body[_ZIP_HEADER + names :], most, _zlib(-zlib.MAX_WBITS), members=False, whole=False
        )
    except _ERRORS:
        return None


# The plain body of a message: decompressed and in UTF-8.


_MOST_CODINGS = 4
_NO_SECTION = "the body is labelled as a section of AMQP 1.0, and is none that can be read"


@value(frozen=True, slots=True)
class Plain:
    """The plain body, or None with the reason."""

    body: bytes | None
    fault: str = ""


def plain_of(message: Message, most: int) -> Plain:
    """Returns the body without the encodings that the message declares; the same object if there are none.

    `most` is the maximum size of a decompressed body in bytes, as for `inflated`. Codings are removed in reverse order
    of application; if that fails, in the order in which they are listed.
    """
    if is_plain(message):
        return Plain(message.body)
    labels, body = labels_of(message), message.body
    if message.type == SECTION:
        found = value_of(body)
        if not isinstance(found, bytes):
            return Plain(None, _NO_SECTION) if found is None else Plain(found.encode())
        body = found
    plain = _uncoded(body, labels, most) if labels.codings else Plain(body)
    if plain.body is None or labels.charset is None:
        return plain
    text = in_utf_8(plain.body, labels.charset)
    if text is None:
        return Plain(None, f"the body is labelled {labels.charset}, and is no text in that character set")
    return Plain(text)


def plain_message(message: Message, body: bytes) -> Message:
    """Returns the message with its plain body, without the labels that no longer apply."""
    if body is message.body:
        return message
    kind = message.content_type
    headers = message.headers
    if COMPRESSION in headers:
        headers = {name: value for name, value in headers.items() if name != COMPRESSION}
    return replace(
        message,
        body=body,
        content_encoding=None,
        type=told_type(message),
        content_type=kind and without_charset(kind),
        headers=headers,
    )


def is_compressed(message: Message) -> bool:
    """Returns whether the body is compressed, so that its plain size may be far larger."""
    return bool(labels_of(message).codings)


def _uncoded(body: bytes, labels: Labels, most: int) -> Plain:
    codings = labels.codings
    if len(codings) > _MOST_CODINGS:
        return Plain(
            None, f"the body is labelled with {len(codings)} content codings, the limit is {_MOST_CODINGS}"
        )
    if unread := next((name for name in codings if name not in CODINGS and name != "base64"), None):
        return Plain(None, f"the body is labelled {unread}, which cannot be undone")
    try:
        found = _undone(body, codings[::-1], most)
        if found is None and len(codings) > 1:
            found = _undone(body, codings, most)
    except TooLarge:
        return Plain(
            None,
            f"the body inflates to more than limits.inflated ({most} bytes), or a hundred times its size",
        )
    if found is None:
        told = ", ".join(codings)
        return Plain(None, f"the body is labelled {told}, and is corrupt, cut off or something else")
    return Plain(found)


def _undone(body: bytes, codings: tuple[str, ...], most: int) -> bytes | None:
    found: bytes | None = body
    for coding in codings:
        if found is None:
            return None
        found = _from_base64(found) if coding == "base64" else inflated(found, coding, most)
    return found


def _from_base64(text: bytes) -> bytes | None:
    try:
        return b64decode(b"".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
