"""Profiles that sign a timestamp with the body, fresh on every attempt."""

import hmac
from collections.abc import Sequence
from datetime import UTC, datetime

from bridge.rules.signing.keys import keyed, mac, mac_of_two, signing_keys, text_keys
from bridge.rules.wire.headers import header_text


class Phlix:
    """Both generations of Phlix's signature.

    `X-Phlix-Signature`: `sha256=` and the hex HMAC-SHA256 of the body, by the first secret.
    `X-Phlix-Signature-V2`: `t=<Unix seconds>` and a `v1=` for each secret, over `<t>.` and the body.
    Source: Phlix's documentation of webhooks, and its signer `WebhookSigner`.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys = [keyed(key) for key in signing_keys(secrets, "phlix")]

    def stamp(self, now: float) -> str:
        """Unix seconds."""
        return str(int(now))

    def headers(self, body: bytes, webhook_id: str, stamp: str, event_type: str) -> list[tuple[str, str]]:
        """Both headers."""
        del webhook_id, event_type
        return [
            ("X-Phlix-Signature", "sha256=" + mac(self._keys[0], body).hexdigest()),
            ("X-Phlix-Signature-V2", timed_signatures(self._keys, stamp, body)),
        ]


class Stripe:
    """`t=<Unix seconds>` and a `v1=` for each secret: hex HMAC-SHA256 over `<t>.` and the body.

    Source: Stripe's documentation, "Verify webhook signatures manually".
    """

    def __init__(self, secrets: Sequence[str], header: str) -> None:
        self._keys = [keyed(key) for key in signing_keys(secrets, "stripe")]
        self._header = header

    def stamp(self, now: float) -> str:
        """Unix seconds."""
        return str(int(now))

    def headers(self, body: bytes, webhook_id: str, stamp: str, event_type: str) -> list[tuple[str, str]]:
        """The one signature header."""
        del webhook_id, event_type
        return [(self._header, timed_signatures(self._keys, stamp, body))]


class Plinqx:
    """`X-Plinqx-Signature`: hex HMAC-SHA256 over the text of `X-Plinqx-Timestamp` with the body right after it.

    By the first secret; without one there is no signature header. Source: Plinqx's documentation, "Webhooks".
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        keys = text_keys(secrets)
        self._key = keyed(keys[0]) if keys else None

    def stamp(self, now: float) -> str:
        """ISO 8601 in UTC with whole seconds, such as 2025-05-05T07:08:09Z."""
        return datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def headers(self, body: bytes, webhook_id: str, stamp: str, event_type: str) -> list[tuple[str, str]]:
        """The event's type where it is known, the timestamp as it was given, and the signature over it."""
        del webhook_id
        headers = [("X-Plinqx-Event", header_text(event_type))] if event_type else []
        headers.append(("X-Plinqx-Timestamp", stamp))
        if self._key:
            headers.append(("X-Plinqx-Signature", mac_of_two(self._key, stamp.encode(), body).hexdigest()))
        return headers


def timed_signatures(keys: Sequence[hmac.HMAC], stamp: str, body: bytes) -> str:
    """`t=...,v1=...` with one `v1` for each key."""
    opening = f"{stamp}.".encode()
    signatures = [f"v1={mac_of_two(key, opening, body).hexdigest()}" for key in keys]
    return ",".join((f"t={stamp}", *signatures))
