"""Message authentication codes (HMAC-SHA-256) that prove that a bridge with this history wrote a message.

Every publisher with a right to a named queue may publish through the default exchange into any queue, lanes and the
bridge's own events included. A message of the bridge without a valid code is therefore not trusted.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson

from bridge.core.event import Message
from bridge.wire.copies import PREFIX

CODE = PREFIX + "mac"
"""The header with the code."""
FORGED = "forged"
"""The quarantine reason of a message without a valid code."""

_PURPOSE = b"amqp-bridge message authentication, version 1: "
_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME


class Authenticator:
    """A signer and verifier of codes: signs with its first key and accepts every key, so that keys can be rotated."""

    def __init__(self, secrets: Sequence[bytes], purpose: str) -> None:
        """`purpose` keeps codes of one kind of message from validating another; at least one secret."""
        self._keys = [hmac.digest(secret, _PURPOSE + purpose.encode(), "sha256") for secret in secrets]

    def code(self, claims: object, body: bytes = b"") -> str:
        """Returns the code for these claims (JSON values, bytes, times) and the body."""
        return _code(self._keys[0], _digest(claims, body))

    def accepts(self, code: object, claims: object, body: bytes = b"") -> bool:
        """Returns whether a key produced this code for the same claims and body. Never raises."""
        if not isinstance(code, str) or not code.isascii():
            return False
        try:
            digest = _digest(claims, body)
        except TypeError:  # nested deeper than any published message
            return False
        return any(hmac.compare_digest(_code(key, digest), code) for key in self._keys)

    def sign(self, headers: Mapping[str, Any], like: Message, body: bytes) -> dict[str, Any]:
        """Returns the headers with a code over all of the bridge's own headers, the content type and the body.

        `headers` must be as they will be read: a header table cannot hold every value.
        """
        return {**headers, CODE: self.code(_claims(headers, like), body)}

    def is_genuine(self, message: Message) -> bool:
        """Returns whether the message is unchanged since `sign`. Never raises."""
        return self.accepts(message.headers.get(CODE), _claims(message.headers, message), message.body)


@dataclass(frozen=True, slots=True)
class MessageKeys:
    """The authenticators of a bridge, one for each kind of its own messages."""

    copies: Authenticator
    events: Authenticator
    control: Authenticator

    @classmethod
    def derived_from(cls, secrets: Sequence[bytes]) -> "MessageKeys":
        """Returns the authenticators with keys derived from these secrets, the signing one first."""
        return cls(*(Authenticator(secrets, purpose) for purpose in ("copies", "events", "control")))


def _claims(headers: Mapping[str, Any], message: Message) -> tuple[Any, ...]:
    ours = {name: value for name, value in headers.items() if name.startswith(PREFIX) and name != CODE}
    return ours, message.content_type or "", message.content_encoding or "", message.type or ""


def _digest(claims: object, body: bytes) -> bytes:
    """Returns the digest of both, each prefixed with its length."""
    digest = sha256(sha256(body).digest())
    digest.update(orjson.dumps(claims, default=_plain, option=_CANONICAL))
    return digest.digest()


def _plain(value: Any) -> Any:
    """Returns a JSON value for a value of a header table. Values with the same text are no use to an attacker."""
    match value:
        case bytes() | bytearray():
            return value.decode("utf-8", "replace")
        case datetime():
            return value.isoformat()
        case _:
            return str(value)


def _code(key: bytes, digest: bytes) -> str:
    return hmac.digest(key, digest, "sha256").hex()
