"""The session of the UI: a sealed cookie that names a token's digest, so that no table of sessions is needed.

A session says nothing about what its token may do: each request asks for the token anew.
"""

import hmac
import os
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

IDLE = 12 * 3600
"""Seconds without a request after which a session ends."""
LONGEST = 7 * 86_400
"""Seconds after the login at which a session ends."""
RENEWED = 60
"""Seconds after which a cookie is written anew, to count the idle time from there."""
LINK = 600
"""Seconds for which a login link is valid."""

_PURPOSE = b"amqp-bridge ui"
_NONCE = 12
_FORM = struct.Struct(">32s16sQQ")
_LINK = struct.Struct(">32s16sQ")
_MASK = 16


@dataclass(frozen=True, slots=True)
class Session:
    """Who is logged in: the SHA-256 of the token in hex, a random id, and two times in Unix seconds."""

    digest: str
    id: bytes
    begun: float
    seen: float

    def is_over(self, now: float) -> bool:
        """Returns whether the session has ended."""
        return now >= self.seen + IDLE or now >= self.begun + LONGEST

    def renewed(self, now: float) -> "Session | None":
        """Returns the session as of now if its cookie is to be written anew."""
        return replace(self, seen=now) if now >= self.seen + RENEWED else None


def new_session(digest: str, now: float) -> Session:
    """Returns a session that begins now."""
    return Session(digest, os.urandom(16), now, now)


class Sessions:
    """Seals sessions, login links and CSRF tokens with keys of the settings; any replica opens what another has sealed."""

    def __init__(self, keys: Sequence[str]) -> None:
        """The first of the `keys` seals; without any, a random one does until this process ends."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        secrets = [key.encode(errors="surrogateescape") for key in keys] or [os.urandom(32)]
        self._boxes = [AESGCM(_derived(secret, b" box")) for secret in secrets]
        self._mac = _derived(secrets[0], b" csrf")
        self._used: dict[bytes, float] = {}

    def cookie(self, session: Session) -> str:
        """Returns the text of the session's cookie."""
        packed = _FORM.pack(bytes.fromhex(session.digest), session.id, int(session.begun), int(session.seen))
        return self._sealed(packed, b"session")

    def session(self, cookie: str, now: float) -> Session | None:
        """Returns the session of a cookie; None if nobody here sealed it, or it has ended."""
        clear = self._opened(cookie, b"session")
        if clear is None or len(clear) != _FORM.size:
            return None
        digest, name, begun, seen = _FORM.unpack(clear)
        found = Session(digest.hex(), name, begun, seen)
        return None if found.is_over(now) else found

    # CSRF tokens. Each answer masks the token anew: compressed answers must not repeat a secret (BREACH).

    def csrf(self, session: Session) -> str:
        """Returns a text for the forms of one answer."""
        mask = os.urandom(_MASK)
        return urlsafe_b64encode(mask + _xor(mask, self._token(session))).decode()

    def is_csrf(self, session: Session, text: str) -> bool:
        """Returns whether the text was made for this session."""
        raw = _decoded(text)
        if raw is None or len(raw) != 2 * _MASK:
            return False
        return hmac.compare_digest(_xor(raw[:_MASK], raw[_MASK:]), self._token(session))

    def _token(self, session: Session) -> bytes:
        return hmac.digest(self._mac, session.id, sha256)[:_MASK]

    # Login links, each of which is good once: in the process that was asked for it.

    def link(self, digest: str, now: float) -> str:
        """Returns the secret of a login link for the token with this digest."""
        return self._sealed(_LINK.pack(bytes.fromhex(digest), os.urandom(16), int(now) + LINK), b"link")

    def linked(self, secret: str, now: float, *, use: bool) -> str | None:
        """Returns the digest that a valid link names; with `use` the link is used up."""
        clear = self._opened(secret, b"link")
        if clear is None or len(clear) != _LINK.size:
            return None
        digest, name, until = _LINK.unpack(clear)
        self._used = {each: end for each, end in self._used.items() if end > now}
        if now >= until or name in self._used:
            return None
        if use:
            self._used[name] = until
        return str(digest.hex())

    def _sealed(self, clear: bytes, about: bytes) -> str:
        nonce = os.urandom(_NONCE)
        return urlsafe_b64encode(nonce + self._boxes[0].encrypt(nonce, clear, about)).decode().rstrip("=")

    def _opened(self, text: str, about: bytes) -> bytes | None:
        from cryptography.exceptions import InvalidTag

        raw = _decoded(text)
        if raw is None or len(raw) <= _NONCE:
            return None
        for box in self._boxes:
            try:
                return box.decrypt(raw[:_NONCE], raw[_NONCE:], about)
            except InvalidTag:
                continue
        return None


def _decoded(text: str) -> bytes | None:
    try:
        return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError:
        return None


def _derived(secret: bytes, what: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), 32, salt=None, info=_PURPOSE + what).derive(secret)


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
