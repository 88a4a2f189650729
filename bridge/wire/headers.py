"""HTTP header fields: validation, `Retry-After`, `traceparent`, and the marks of inlets."""

import hmac
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from bridge.core.base import value
from bridge.core.event import Message
from bridge.core.inlet import Inlet, Verifier
from bridge.wire.copies import INLET

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_VISIBLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_IDENTIFIER = re.compile(r"[A-Za-z0-9_~-]+")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_TRACESTATE = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,510}[\x21-\x7e]")
_SECONDS = re.compile(
    r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?) *(?:s|secs?|seconds?)?", re.ASCII
)
_FAR_YEAR = re.compile(r"(?<![0-9])[1-9][0-9]{4,}(?![0-9])", re.ASCII)
_LONGEST_WAIT = 10 * 365 * 86_400.0

FRAMING = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Names that the HTTP client sets: a wrong value would break the framing of the connection."""


def check_headers(headers: Iterable[tuple[str, str]], reserved: Collection[str]) -> None:
    """Raises ValueError, naming the first header that is invalid or `reserved` (lower case)."""
    for name, text in headers:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is no header name; letters, digits and dashes are safe")
        if name.lower() in FRAMING:
            raise ValueError(f"{name} is set by the HTTP client itself and cannot be given")
        if name.lower() in reserved:
            raise ValueError(f"{name} is set by the profile or by `auth` and cannot be replaced")
        if _CONTROL.search(text):
            raise ValueError(f"the value of {name} holds a line break or another control character")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError(f"the value of {name} is no valid Unicode text") from None


def header_text(text: str) -> str:
    """Returns `text` if it is valid in a header field, otherwise its percent-encoded UTF-8."""
    if _VISIBLE.fullmatch(text):
        return text
    return quote(text.encode("utf-8", "backslashreplace"), safe="!#$&'()*+,/:;=?@[]|^`{}<>")


def identifier(text: str) -> str:
    """Returns `text` if it may be signed as a `webhook-id`, otherwise percent-encoded deterministically.

    A full stop would make two different ids and timestamps sign the same bytes, a line break would inject a header.
    """
    if _IDENTIFIER.fullmatch(text):
        return text
    return quote(text.encode("utf-8", "backslashreplace"), safe="").replace(".", "%2E")


def traceparent(value: object) -> str | None:
    """Returns the W3C trace context of a message header, if valid (https://www.w3.org/TR/trace-context/)."""
    text = _text(value)
    return text if text is not None and _TRACEPARENT.fullmatch(text) else None


def tracestate(value: object) -> str | None:
    """Returns the `tracestate` that accompanies a `traceparent`, if valid: up to 512 visible characters."""
    text = _text(value)
    return text if text is not None and _TRACESTATE.fullmatch(text) else None


def _text(value: object) -> str | None:
    if isinstance(value, bytes | bytearray):
        value = value.decode("latin-1")
    return value if isinstance(value, str) else None


def retry_after(values: Iterable[str], now: float, *, date: str = "") -> float | None:
    """Returns the seconds of a response's `Retry-After`, the longest if there are several; None if it is invalid.

    Accepts RFC 9110 (10.2.3) and unambiguous deviations: decimals, a unit, several values, ISO 8601. A time in the past
    is 0, one beyond the calendar ten years. `now` is in Unix seconds; the response's own `Date` in `date` takes
    precedence, so that the two clocks need not agree.
    """
    said_at = _moment(date)
    waits = [_wait(value.strip(" \t\"'"), now if said_at is None else said_at) for value in values]
    return max((wait for wait in waits if wait is not None), default=None)


def _wait(text: str, now: float) -> float | None:
    seconds = [_SECONDS.fullmatch(part.strip()) for part in text.split(",")]
    if all(seconds):
        return min(max(0.0, *(float(part[1]) for part in seconds if part)), _LONGEST_WAIT)
    moment = _moment(text)
    return None if moment is None else min(max(0.0, moment - now), _LONGEST_WAIT)


def _moment(text: str) -> float | None:
    """Returns the Unix seconds of a date of HTTP (RFC 9110, 5.6.7), mail, or ISO 8601."""
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = parse(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError, IndexError, TypeError):
            continue
    return math.inf if text.isascii() and ":" in text and _FAR_YEAR.search(text) else None


# The marks of inlets on the messages that they publish, and their verification. Everybody who may publish to a source's
# queue may set any header. Therefore an identity counts only with a proof: an HMAC over the body with a secret of the
# verifiers for this identity. The same holds for the webhook id that receivers see: with the id of another event they
# would drop one of the two as a duplicate.


_PURPOSE = b"amqp-bridge: identity of an inlet's message, version 1"
_PURPOSE_OF_IDS = b"amqp-bridge: webhook-id of an inlet's message, version 1"
_PUBLIC_KEY = "whpk_"


@value(frozen=True, slots=True)
class SignedInletMark:
    """The verified mark of an inlet; absent fields are None, so are `identity` and `webhook_id` without valid proof."""

    event_type: str | None
    identity: str | None
    webhook_id: str | None = None


def identity_keys(source: str, inlet: Inlet, verifier: Verifier) -> list[bytes]:
    """Returns the keys that prove the verifier's `user` in messages to `source`, the signing key first; may be empty.

    A public key proves nothing, so a verifier with no other key uses the inlet's remaining secrets.
    """
    if verifier.user is None:
        return []
    return _derived(inlet, verifier, _PURPOSE, source, inlet.name, verifier.user)


def id_keys(source: str, inlet: Inlet, verifier: Verifier) -> list[bytes]:
    """Returns the keys that prove the `webhook-id` of a sender of Standard Webhooks, as `identity_keys`."""
    if verifier.type != "standard":
        return []
    return _derived(inlet, verifier, _PURPOSE_OF_IDS, source, inlet.name)


def _derived(inlet: Inlet, verifier: Verifier, purpose: bytes, *names: str) -> list[bytes]:
    secrets = _private(verifier.all_secrets) or [
        secret for other in inlet.verify for secret in _private(other.all_secrets)
    ]
    name = _joined(purpose, *map(_octets, names))
    return [hmac.digest(_octets(secret), name, "sha256") for secret in secrets]


def mark(
    inlet: str,
    method: str,
    path: str,
    event_type: str | None,
    *,
    identity: tuple[str, bytes, bytes] | None,
    webhook_id: tuple[str, bytes, bytes] | None = None,
) -> dict[str, Any]:
    """Returns the table of the header `x-bridge-inlet`. `identity` is the user, the key that proves it, and the
    body; `webhook_id` likewise for the id.
    """
    table: dict[str, Any] = {"name": inlet, "method": method, "path": path}
    if event_type:
        table["type"] = event_type
    if identity is not None:
        user, key, body = identity
        table |= {"identity": user, "proof": _proof(key, sha256(body).digest())}
    if webhook_id is not None:
        sent, key, body = webhook_id
        table |= {"id": sent, "id-proof": _proof(key, _joined(_octets(sent), sha256(body).digest()))}
    return table


class SignedInletMarkReader:
    """A reader of inlet marks in the messages of one source."""

    def __init__(self, source: str, inlets: Iterable[Inlet]) -> None:
        """Prepare the keys; `inlets` are all inlets, of which those of other sources are ignored."""
        self._keys: dict[tuple[str, str], list[bytes]] = {}
        self._id_keys: dict[str, list[bytes]] = {}
        for inlet in inlets:
            if inlet.source != source:
                continue
            for verifier in inlet.verify:
                self._id_keys.setdefault(inlet.name, []).extend(id_keys(source, inlet, verifier))
                if verifier.user is not None:
                    keys = self._keys.setdefault((inlet.name, verifier.user), [])
                    keys += identity_keys(source, inlet, verifier)

    def read(self, message: Message) -> SignedInletMark | None:
        """Returns the verified mark of a whole message as published. Never raises.

        The type needs no proof: everybody who may publish to the queue may also choose a body. A secret that was
        removed from the settings proves nothing any more, also for messages that waited.
        """
        table = message.headers.get(INLET)
        if not isinstance(table, Mapping):
            return None
        kind = table.get("type")
        return SignedInletMark(
            kind if isinstance(kind, str) and kind else None,
            self._proven_identity(table, message.body),
            self._proven_id(table, message.body),
        )

    def _proven_identity(self, table: Mapping[str, Any], body: bytes) -> str | None:
        inlet, user = table.get("name"), table.get("identity")
        if not (isinstance(inlet, str) and isinstance(user, str)):
            return None
        keys = self._keys.get((inlet, user))
        return user if keys and _proves(keys, sha256(body).digest(), table.get("proof")) else None

    def _proven_id(self, table: Mapping[str, Any], body: bytes) -> str | None:
        inlet, sent = table.get("name"), table.get("id")
        if not (isinstance(inlet, str) and isinstance(sent, str)):
            return None
        keys = self._id_keys.get(inlet)
        claim = _joined(_octets(sent), sha256(body).digest())
        return sent if keys and _proves(keys, claim, table.get("id-proof")) else None


def _private(secrets: Sequence[str]) -> list[str]:
    return [secret for secret in secrets if not secret.startswith(_PUBLIC_KEY)]


def _proves(keys: Sequence[bytes], claim: bytes, proof: Any) -> bool:
    if not isinstance(proof, str):
        return False
    claimed = _octets(proof)
    return sum(hmac.compare_digest(_proof(key, claim).encode(), claimed) for key in keys) > 0


def _octets(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _proof(key: bytes, claim: bytes) -> str:
    return hmac.digest(key, claim, "sha256").hex()


def _joined(*parts: bytes) -> bytes:
    """Returns the parts, each prefixed with its length, so that no two lists give the same bytes."""
    return b"".join(b"%d:%s" % (len(part), part) for part in parts)
