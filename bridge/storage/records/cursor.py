"""Where a page ended, as text that other programs keep and hand back."""

import base64
import binascii
import struct
from hashlib import blake2s
from typing import Any
from uuid import UUID

Key = tuple[Any, ...]
"""By what a list is sorted, the newest first: ids, and before them a time where the list is by one."""

_DIGEST = 6
_ID = 16
_TIME = struct.Struct(">d")


def cursor(kind: str, key: Key) -> str:
    """The text for a key of that kind of list."""
    raw = b"".join(_TIME.pack(one) if isinstance(one, float) else UUID(one).bytes for one in key)
    return base64.urlsafe_b64encode(raw + _digest(kind, raw)).decode().rstrip("=")


def key_of(kind: str, text: str) -> Key:
    """The key in a text of `cursor`; ValueError for any other text, and for one of another kind of list."""
    try:
        whole = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        whole = b""
    raw = whole[:-_DIGEST]
    key = _key(raw)
    if key is None or whole[-_DIGEST:] != _digest(kind, raw) or cursor(kind, key) != text:
        raise ValueError("this is no cursor of this list")
    return key


def _key(raw: bytes) -> Key | None:
    """Whole ids, with a time before them where there is more than these take."""
    time = len(raw) % _ID
    if time not in (0, _TIME.size) or len(raw) < _ID:
        return None
    ids = tuple(str(UUID(bytes=raw[start : start + _ID])) for start in range(time, len(raw), _ID))
    return (*_TIME.unpack(raw[:time]), *ids) if time else ids


def _digest(kind: str, raw: bytes) -> bytes:
    """Against slips, not against malice: whoever may list may begin anywhere."""
    return blake2s(raw, digest_size=_DIGEST, person=kind.encode()[:8]).digest()
