"""Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks, spec, "Verifying webhook authenticity".

`webhook-signature` holds one signature over `id.timestamp.body` per secret, separated by spaces: `v1,` and the
base64 of an HMAC-SHA256 for a `whsec_` secret, `v1a,` and the base64 of an ed25519 signature for a `whsk_` key.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Sequence

from bridge.rules.signing.keys import keyed, mac_of_two
from bridge.rules.wire.headers import header_text, identifier

_FIT = re.compile(r"[!-\-/-~]+")
"""Ids that are signed as they are: visible ASCII, and no full stop, which would blur where the id ends."""

Sign = Callable[[bytes, bytes], str]
"""One signature as the header has it, over what stands before the body and the body."""


class Standard:
    """Signs as Standard Webhooks has it; without a secret there is no `webhook-signature`."""

    def __init__(self, secrets: Sequence[str], event_header: str | None = None) -> None:
        """`event_header`: where the event's type is told, too."""
        self._sign = [_sign(secret) for secret in secrets]
        self._event_header = event_header

    def stamp(self, now: float) -> str:
        """Unix seconds."""
        return str(int(now))

    def headers(self, body: bytes, webhook_id: str, stamp: str, event_type: str) -> list[tuple[str, str]]:
        """`webhook-id` and `webhook-timestamp`, and `webhook-signature` where there is a secret."""
        if not _FIT.fullmatch(webhook_id):
            webhook_id = identifier(webhook_id)
        headers = [("webhook-id", webhook_id), ("webhook-timestamp", stamp)]
        if self._sign:
            opening = f"{webhook_id}.{stamp}.".encode()
            headers.append(("webhook-signature", " ".join([sign(opening, body) for sign in self._sign])))
        if self._event_header and event_type:
            headers.append((self._event_header, header_text(event_type)))
        return headers


def symmetric_key(secret: str) -> hmac.HMAC:
    """The key of a `whsec_` secret; raises ValueError."""
    key = key_bytes(secret, "whsec_")
    if not key:
        raise ValueError("a secret is empty")
    return keyed(key)


def key_bytes(secret: str, prefix: str) -> bytes:
    """The bytes of `prefix`, which may be missing, and base64; raises ValueError.

    Missing padding is accepted, as the reference libraries do; blanks around it are no part of it.
    """
    text = secret.strip().removeprefix(prefix)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(
            "a secret is no base64; Standard Webhooks takes `whsec_` and the base64 of 24 to 64 random bytes"
        ) from None


def _sign(secret: str) -> Sign:
    secret = secret.strip()
    if secret.startswith("whpk_"):
        raise ValueError(
            "a whpk_ key is public and cannot sign; profile standard signs with whsec_ and whsk_"
        )
    if secret.startswith("whsk_"):
        return _version_1a(key_bytes(secret, "whsk_"))
    return _version_1(symmetric_key(secret))


def _version_1(key: hmac.HMAC) -> Sign:
    def sign(opening: bytes, body: bytes) -> str:
        digest = mac_of_two(key, opening, body).digest()
        return "v1," + binascii.b2a_base64(digest, newline=False).decode()

    return sign


def _version_1a(key: bytes) -> Sign:
    from bridge.rules.signing.ed25519 import private_key  # loads a large library for a rare kind of key

    private = private_key(key)

    def sign(opening: bytes, body: bytes) -> str:
        return "v1a," + base64.b64encode(private.sign(opening + body)).decode()

    return sign
