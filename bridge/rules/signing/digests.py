"""Profiles that sign the body alone."""

import binascii
import hmac
from collections.abc import Callable, Sequence

from bridge.rules.signing.keys import SHA1, hash_name, keyed, mac, signing_keys
from bridge.rules.wire.headers import header_text

Spell = Callable[[hmac.HMAC], str]
"""A finished HMAC as the header has it."""


def spelling(encoding: str) -> Spell:
    """How `hex` (in lower case) or `base64` is written."""
    return _base64 if encoding == "base64" else _hex


def _hex(digest: hmac.HMAC) -> str:
    return digest.hexdigest()


def _base64(digest: hmac.HMAC) -> str:
    return binascii.b2a_base64(digest.digest(), newline=False).decode()


class Untimed:
    """What signers have in common that sign no timestamp."""

    def stamp(self, now: float) -> str:
        """Nothing, since nothing is sent."""
        del now
        return ""


class Splynx(Untimed):
    """`X-Splynx-Signature`: lower-case hex HMAC-SHA1 of the body, by the first secret.

    Source: Splynx's documentation of hooks, "Webhook".
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._key = keyed(signing_keys(secrets, "splynx")[0], SHA1)

    def headers(self, body: bytes, webhook_id: str, stamp: str, event_type: str) -> list[tuple[str, str]]:
        """The one signature header."""
        del webhook_id, stamp, event_type
        return [("X-Splynx-Signature", mac(self._key, body).hexdigest())]


class Tiki(Untimed):
    """One header of any name with the HMAC of the body in base64 or hex, by the first secret.

    Source: Tiki's `tiki-webhooks.php` and its library `Webhook`: verification `base64 hmac` and `hmac`.
    """

    def __init__(self, secrets: Sequence[str], header: str, algorithm: str, encoding: str) -> None:
        self._key = keyed(signing_keys(secrets, "tiki")[0], hash_name(algorithm))
        self._header = header
        self._spell = spelling(encoding)

    def headers(self, body: bytes, webhook_id: str, stamp: str, event_type: str) -> list[tuple[str, str]]:
        """The one signature header."""
        del webhook_id, stamp, event_type
        return [(self._header, self._spell(mac(self._key, body)))]


class GitHub(Untimed):
    """`X-Hub-Signature-256` and, for receivers of before 2020, `X-Hub-Signature`, by the first secret.

    Source: GitHub's documentation, "Validating webhook deliveries" and "Webhook events and payloads".
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        key = signing_keys(secrets, "github")[0]
        self._sha256, self._sha1 = keyed(key), keyed(key, SHA1)

    def headers(self, body: bytes, webhook_id: str, stamp: str, event_type: str) -> list[tuple[str, str]]:
        """The event's type where it is known, the id that stays the same on every attempt, both signatures."""
        del stamp
        event = [("X-GitHub-Event", header_text(event_type))] if event_type else []
        return [
            *event,
            ("X-GitHub-Delivery", header_text(webhook_id)),
            ("X-Hub-Signature-256", "sha256=" + mac(self._sha256, body).hexdigest()),
            ("X-Hub-Signature", "sha1=" + mac(self._sha1, body).hexdigest()),
        ]


class Unsigned(Untimed):
    """No header at all."""

    def headers(self, body: bytes, webhook_id: str, stamp: str, event_type: str) -> list[tuple[str, str]]:
        """Nothing."""
        del body, webhook_id, stamp, event_type
        return []
