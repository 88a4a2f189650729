"""Where a page ended, as text that other programs keep and hand back."""

import base64
import binascii
from hashlib import blake2s
from uuid import UUID

Key = tuple[str, ...]
"""Ids by which a list is sorted, the newest first."""

_DIGEST = 6


def cursor(kind: str, key: Key) -> str:
    """The text for a key of that kind of list."""
    raw = b"".join(UUID(one).bytes for one in key)
    return base64.urlsafe_b64encode(raw + _digest(kind, raw)).decode().rstrip("=")


def key_of(kind: str, text: str) -> Key:
    """The key in a text of `cursor`; ValueError for any other text, and for one of another kind of list."""
    try:
        whole = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        whole = b""
    raw = whole[:-_DIGEST]
    if not raw or len(raw) % 16 or whole[-_DIGEST:] != _digest(kind, raw) or cursor(kind, _ids(raw)) != text:
        raise ValueError("this is no cursor of this list")
    return _ids(raw)


def _ids(raw: bytes) -> Key:
    return tuple(str(UUID(bytes=raw[start : start + 16])) for start in range(0, len(raw), 16))


def _digest(kind: str, raw: bytes) -> bytes:
    """Against slips, not against malice: whoever may list may begin anywhere."""
    return blake2s(raw, digest_size=_DIGEST, person=kind.encode()[:8]).digest()
