"""Proof that a bridge with this history wrote a message: a message authentication code (HMAC-SHA-256).

Every publisher to a named queue may publish through the default exchange into any queue, a lane or the bridge's own
events among them. A message of ours without a valid code is therefore not believed.
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
"""Header that holds the code."""
FORGED = "forged"
"""Reason for which a message without a valid code is quarantined."""

_PURPOSE = b"amqp-bridge message authentication, version 1: "
_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME


class Authenticator:
    """Makes codes with its first key and accepts those of any key, so that keys can be rotated with overlap."""

    def __init__(self, secrets: Sequence[bytes], purpose: str) -> None:
        """`purpose` keeps codes for one kind of message from proving another; at least one secret."""
        self._keys = [hmac.digest(secret, _PURPOSE + purpose.encode(), "sha256") for secret in secrets]

    def code(self, claims: object, body: bytes = b"") -> str:
        """The code for these claims (JSON values, bytes, times) and the body."""
        return _code(self._keys[0], _digest(claims, body))

    def accepts(self, code: object, claims: object, body: bytes = b"") -> bool:
        """Whether one of the keys made this code for the same claims and body; never raises."""
        if not isinstance(code, str) or not code.isascii():
            return False
        try:
            digest = _digest(claims, body)
        except TypeError:  # nested deeper than anything that was ever published
            return False
        return any(hmac.compare_digest(_code(key, digest), code) for key in self._keys)

    def sign(self, headers: Mapping[str, Any], like: Message, body: bytes) -> dict[str, Any]:
        """The headers with the code for all of them that are the bridge's own, the content type and the body.

        `headers` as they will be read: a header table cannot hold every value.
        """
        return {**headers, CODE: self.code(_claims(headers, like), body)}

    def is_genuine(self, message: Message) -> bool:
        """Whether the message is as `sign` left it; never raises."""
        return self.accepts(message.headers.get(CODE), _claims(message.headers, message), message.body)


@dataclass(frozen=True, slots=True)
class MessageKeys:
    """The authenticators of a bridge, one for each kind of message of its own."""

    copies: Authenticator
    events: Authenticator
    control: Authenticator

    @classmethod
    def derived_from(cls, secrets: Sequence[bytes]) -> "MessageKeys":
        """Those whose keys are derived from these secrets, the one to sign with first."""
        return cls(*(Authenticator(secrets, purpose) for purpose in ("copies", "events", "control")))


def _claims(headers: Mapping[str, Any], message: Message) -> tuple[Any, ...]:
    ours = {name: value for name, value in headers.items() if name.startswith(PREFIX) and name != CODE}
    return ours, message.content_type or "", message.content_encoding or "", message.type or ""


def _digest(claims: object, body: bytes) -> bytes:
    """Of both, each with a length of its own."""
    digest = sha256(sha256(body).digest())
    digest.update(orjson.dumps(claims, default=_plain, option=_CANONICAL))
    return digest.digest()


def _plain(value: Any) -> Any:
    """A value of a header table that JSON does not know. Two that come to the same text have no use for a forger."""
    match value:
        case bytes() | bytearray():
            return value.decode("utf-8", "replace")
        case datetime():
            return value.isoformat()
        case _:
            return str(value)


def _code(key: bytes, digest: bytes) -> str:
    return hmac.digest(key, digest, "sha256").hex()
