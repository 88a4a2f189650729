"""What of a request's headers becomes a header of the message: never a secret, and nothing of the connection."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from bridge.core.inlet import Inlet, Verifier
from bridge.formats.parse import parse
from bridge.formats.text import event_type
from bridge.signing.standard import STEMS, stem_of
from bridge.wire.copies import is_taken

MOST_HEADERS = 100
MOST_BYTES = 32_768

_LONGEST_NAME = 255
"""Bytes of a short string, which is what names are in an AMQP table."""
_SHORTEST_SECRET = 4
"""Shorter ones stand in many a harmless value by chance."""

_NOT_PASSED = frozenset(
    {
        "authorization", "connection", "cookie", "cookie2", "expect", "forwarded", "host", "http2-settings",
        "keep-alive", "set-cookie", "te", "trailer", "trailers", "transfer-encoding", "upgrade", "x-real-ip",
        # where the known systems put signatures and tokens
        "stripe-signature", "svix-signature", "webhook-signature", "x-gitlab-token", "x-hub-signature",
        "x-hub-signature-256", "x-phlix-signature", "x-phlix-signature-v2", "x-plinqx-signature", "x-signature",
        "x-splynx-signature", "x-webhook-signature",
    }
)  # fmt: skip
_NOT_PASSED_BEGINNINGS = ("content-", "proxy-", "x-forwarded-")
_CREDENTIAL = re.compile(
    r"(?:^|[-_])(?:auth|authorization|token|secret|password|passwd|credentials?|api-?key|access-?key)(?:[-_]|$)"
)

_ID_HEADERS = ("webhook-id", "x-github-delivery", "idempotency-key", "x-gitlab-event-uuid", "svix-id")
"""Where senders put an id that stays the same when they send an event once more."""
_ID = re.compile(r"[\x21-\x7e]{1,255}")


def joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers by name in lower case; several fields of one name are joined as RFC 9110, 5.3 has it."""
    found: dict[str, str] = {}
    for name, text in headers:
        lower = name.lower()
        found[lower] = f"{found[lower]}, {text}" if lower in found else text
    return found


def sender_id(headers: Mapping[str, str]) -> str | None:
    """The id that the sender gave the event; names in lower case."""
    return next(filter(None, (_id_in(headers, name) for name in _ID_HEADERS)), None)


def signed_id(headers: Mapping[str, str], signature_header: str | None) -> str | None:
    """The id beside the signature of Standard Webhooks that a verifier looked at; it may be kept as it is."""
    return _id_in(headers, f"{stem_of(headers, signature_header)}id".lower())


def _id_in(headers: Mapping[str, str], name: str) -> str | None:
    found = headers.get(name, "").strip()
    return found if _ID.fullmatch(found) else None


class PassedOn:
    """Chooses the headers that one inlet passes on."""

    def __init__(self, inlet: Inlet) -> None:
        self._looked_at = frozenset(chain.from_iterable(map(looked_at, inlet.verify)))
        secrets = chain.from_iterable(verifier.all_secrets for verifier in inlet.verify)
        self._secrets = sorted(set(chain.from_iterable(map(_forms, secrets))))

    def choose(self, headers: Sequence[tuple[str, str]]) -> dict[str, str] | None:
        """Names as they were sent, values as text; None for more than a message is to carry."""
        found: dict[str, str] = {}
        spelled: dict[str, str] = {}
        hop_by_hop = _named_by_connection(headers)
        for name, raw in headers:
            lower = name.lower()
            if lower in hop_by_hop or not self._may_pass(lower):
                continue
            text = _text(raw)
            if any(secret in text for secret in self._secrets):
                continue
            first = spelled.setdefault(lower, name)
            found[first] = f"{found[first]}, {text}" if first in found else text
        return found if _is_bounded(found) else None

    def _may_pass(self, lower: str) -> bool:
        return not (
            lower in _NOT_PASSED
            or lower in self._looked_at
            or lower.startswith(_NOT_PASSED_BEGINNINGS)
            or _CREDENTIAL.search(lower)
            or is_taken(lower)
        )


def looked_at(verifier: Verifier) -> set[str]:
    """Names, in lower case, of the headers that this verifier may look at beside those that no inlet passes on."""
    names = {verifier.header, verifier.timestamp_header, verifier.id_header, verifier.event_header} - {None}
    found = {str(name).lower() for name in names}
    header = (verifier.header or "").lower()
    match verifier.type:
        case "phlix":
            found |= {f"{header}-v2", header.removesuffix("-v2")}
        case "standard" | "gitlab":
            stems = [stem_of({}, header)] if header else STEMS
            found |= {f"{stem}{part}" for stem in stems for part in ("id", "timestamp")}
        case "plinqx":
            found.add("x-plinqx-timestamp")
        case _:
            pass
    return found - {""}


def _forms(secret: str) -> set[str]:
    """The secret, and its password alone where it is written `user:password`."""
    return {form for form in (secret, secret.partition(":")[2]) if len(form) >= _SHORTEST_SECRET}


def _named_by_connection(headers: Iterable[tuple[str, str]]) -> set[str]:
    """What concerns this connection only, by the word of its `Connection` fields (RFC 9110, 7.6.1)."""
    fields = (text for name, text in headers if name.lower() == "connection")
    return {option.strip().lower() for field in fields for option in field.split(",")}


def _text(raw: str) -> str:
    """As sent where that is UTF-8, which servers decode; other bytes are Latin-1."""
    try:
        raw.encode()
    except UnicodeEncodeError:
        return raw.encode("utf-8", "surrogateescape").decode("latin-1")
    return raw


def _is_bounded(headers: Mapping[str, str]) -> bool:
    if len(headers) > MOST_HEADERS or any(len(name) > _LONGEST_NAME for name in headers):
        return False
    return sum(len(name) + len(text.encode()) for name, text in headers.items()) <= MOST_BYTES


# Splynx's question whether an endpoint is there.


_LONGEST = 1000


def is_ping(body: bytes) -> bool:
    """Whether the body is `{"type": "ping"}`, or the same as a form, as Splynx's stock receiver understands it."""
    if len(body) > _LONGEST:
        return False
    if body.strip() == b"type=ping":
        return True
    data = parse(body)
    return isinstance(data, dict) and data.get("type") == "ping"


# The type that a sender's own scheme puts into the body.


_LONGEST_BODY = 1024 * 1024
"""Bytes of a body that are parsed while others wait; no event of these schemes has more."""


def type_in_body(scheme: str, body: bytes) -> str:
    """The event's type, empty where the body tells none, or where `scheme`, a verifier's type, promises none.

    Stripe's events have it under `type`; so have the bodies that Standard Webhooks recommends, which are known by
    their `timestamp` and `data` beside it. Sources: Stripe's API reference, "The Event object"; the specification
    of Standard Webhooks, "Payload structure".
    """
    if scheme not in {"stripe", "standard"} or len(body) > _LONGEST_BODY:
        return ""
    data = parse(body)
    if not isinstance(data, dict) or not isinstance(data.get("type"), str):
        return ""
    if scheme == "standard" and not {"timestamp", "data"} <= data.keys():
        return ""
    return event_type(data["type"])
