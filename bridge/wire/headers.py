"""Header fields: what may be sent, and what an answer's `Retry-After` and a message's `traceparent` say."""

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
"""Names that belong to the HTTP client: a wrong value would break the framing of the connection."""


def check_headers(headers: Iterable[tuple[str, str]], reserved: Collection[str]) -> None:
    """Raise a ValueError that names the first header which cannot be sent, or is `reserved` (lower case)."""
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
    """`text` if it can stand in a header field, otherwise its percent-encoded UTF-8."""
    if _VISIBLE.fullmatch(text):
        return text
    return quote(text.encode("utf-8", "backslashreplace"), safe="!#$&'()*+,/:;=?@[]|^`{}<>")


def identifier(text: str) -> str:
    """`text` if it may be signed as a `webhook-id`, otherwise percent-encoded, the same way every time.

    A full stop would make two different ids and timestamps sign the same bytes, a line break would
    make a header of its own.
    """
    if _IDENTIFIER.fullmatch(text):
        return text
    return quote(text.encode("utf-8", "backslashreplace"), safe="").replace(".", "%2E")


def traceparent(value: object) -> str | None:
    """The W3C trace context of a message header, if it is one (https://www.w3.org/TR/trace-context/)."""
    text = _text(value)
    return text if text is not None and _TRACEPARENT.fullmatch(text) else None


def tracestate(value: object) -> str | None:
    """What tracing systems add to a `traceparent`, if a header can hold it: up to 512 visible characters."""
    text = _text(value)
    return text if text is not None and _TRACESTATE.fullmatch(text) else None


def _text(value: object) -> str | None:
    if isinstance(value, bytes | bytearray):
        value = value.decode("latin-1")
    return value if isinstance(value, str) else None


def retry_after(values: Iterable[str], now: float, *, date: str = "") -> float | None:
    """Seconds to wait that an answer's `Retry-After` asks for; None if it says nothing usable. Of several, the longest.

    What RFC 9110 (10.2.3) allows is read, and what else senders mean without doubt: decimals, a unit, several values,
    ISO 8601. A moment that has passed is 0, one beyond all years ten years. `now` is in Unix time; `date`, the answer's
    own `Date`, comes before it, so that nothing depends on two clocks being right.
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
    """Unix time of a date in one of HTTP's three forms (RFC 9110, 5.6.7), in that of mail, or in ISO 8601."""
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = parse(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError, IndexError, TypeError):
            continue
    return math.inf if text.isascii() and ":" in text and _FAR_YEAR.search(text) else None


# What an inlet says of the messages that it publishes, and why its word can be trusted.
# Whoever may write to a source's queue may write any header. So an identity counts only with a proof beside it:
# an HMAC over the body that takes a secret of the verifiers which give this identity. So does an id that
# receivers are to see: with the id of another event they would drop one of the two.


_PURPOSE = b"amqp-bridge: identity of an inlet's message, version 1"
_PURPOSE_OF_IDS = b"amqp-bridge: webhook-id of an inlet's message, version 1"
_PUBLIC_KEY = "whpk_"


@value(frozen=True, slots=True)
class Arrival:
    """What an inlet vouches for; None where it says nothing, or where `identity` or `webhook_id` lack their proof."""

    event_type: str | None
    identity: str | None
    webhook_id: str | None = None


def identity_keys(source: str, inlet: Inlet, verifier: Verifier) -> list[bytes]:
    """The keys that prove the verifier's `user` in messages to `source`, the one to use first; may be empty.

    A public key proves nothing to others, so for a verifier that has no other the inlet's remaining secrets serve.
    """
    if verifier.user is None:
        return []
    return _derived(inlet, verifier, _PURPOSE, source, inlet.name, verifier.user)


def id_keys(source: str, inlet: Inlet, verifier: Verifier) -> list[bytes]:
    """The keys that prove the `webhook-id` of a sender of Standard Webhooks, as `identity_keys`."""
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
    """The table for the header `x-bridge-inlet`; `identity` is the user, the key that proves it, and the body, and so is
    `webhook_id` for the id.
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


class Arrivals:
    """Reads the marks in the messages of one source."""

    def __init__(self, source: str, inlets: Iterable[Inlet]) -> None:
        """`inlets`: all there are; those of other sources vouch for nothing here."""
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

    def read(self, message: Message) -> Arrival | None:
        """What an inlet vouches for in a whole message as it was published; never raises.

        The type needs no proof: whoever may write to the queue may also choose a body. A secret that is no longer
        listed proves nothing any more, also in messages that waited.
        """
        table = message.headers.get(INLET)
        if not isinstance(table, Mapping):
            return None
        kind = table.get("type")
        return Arrival(
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
    """Each part behind its length, so that no two lists give the same bytes."""
    return b"".join(b"%d:%s" % (len(part), part) for part in parts)
