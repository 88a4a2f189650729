"""Content codings: what `content_encoding` says was done to a body, undone for its parsed copy."""

import zlib
from functools import lru_cache

_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_GZIP = zlib.MAX_WBITS | 16
_KNOWN = {"gzip": True, "x-gzip": True, "deflate": False}
_MOST_CODINGS = 4
_MOST_MEMBERS = 1000
_CHUNK = 65_536
_ALWAYS_ALLOWED = 16_777_216
_MOST_TIMES = 100
"""What JSON reaches at its best; deflate itself goes up to 1,032, and only bombs go there with megabytes."""


def uncoded(body: bytes, content_encoding: str, limit: int) -> bytes | None:
    """The body as it was before it was compressed, the same object where `content_encoding` names no coding.

    None for what is corrupt, cut off, or larger than `limit` bytes or than a hundred times its compressed size
    (16 MiB are always allowed). Of the codings gzip, x-gzip and deflate any four in a row are undone, the last
    one first; publishers also put a character set here, which is passed over. Sources: AMQP 0-9-1 says only
    "MIME content encoding", RFC 9110 section 8.4.1 names them; deflate comes with and without zlib's frame.
    """
    codings = _codings(content_encoding)
    if len(codings) > _MOST_CODINGS:
        return None
    most = min(limit, max(_ALWAYS_ALLOWED, _MOST_TIMES * len(body)))
    plain: bytes | None = body
    for members in codings:
        if plain is None:
            return None
        plain = _undone(plain, most, members=members)
    return plain


@lru_cache(maxsize=256)
def _codings(content_encoding: str) -> tuple[bool, ...]:
    """The codings in the order of undoing; of each whether it may come in several members."""
    names = [name.strip().lower() for name in content_encoding.split(",")]
    return tuple(_KNOWN[name] for name in reversed(names) if name in _KNOWN)


def _undone(body: bytes, most: int, *, members: bool) -> bytes | None:
    # Senders take one for the other, and what begins a stream tells them apart.
    try:
        return _inflated(body, most, _GZIP_OR_ZLIB, members=members)
    except zlib.error:
        pass
    try:
        return None if members else _inflated(body, most, -zlib.MAX_WBITS, members=False)
    except zlib.error:
        return None


def _inflated(body: bytes, most: int, window: int, *, members: bool) -> bytes | None:
    """Everything that `body` inflates to, member after member; None past `most` bytes or without an end."""
    parts: list[bytes] = []
    stream, ended, room, at = zlib.decompressobj(window), 0, most, 0
    while at < len(body):
        chunk = body[at : at + _CHUNK]
        part = stream.decompress(chunk, room + 1)
        parts.append(part)
        room -= len(part)
        if room < 0:
            return None
        at += len(chunk) - len(stream.unused_data)
        if stream.eof:
            ended += 1
            if at == len(body) or _is_padding(body, at):
                return b"".join(parts)
            if not members or ended == _MOST_MEMBERS:
                return None
            stream = zlib.decompressobj(_GZIP)
    return None


def _is_padding(body: bytes, at: int) -> bool:
    """Whether only zeros follow, as gzip writes them where blocks must be full.

    Looked at in place: a copy of the rest behind each of many members takes minutes.
    """
    return body[at] == 0 and body.count(0, at) == len(body) - at
