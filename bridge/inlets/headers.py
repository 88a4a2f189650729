"""The request headers that are copied to the message: no secrets, and no connection headers."""

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
"""Maximum bytes of a name in an AMQP table (a short string)."""
_SHORTEST_SECRET = 4
"""Shorter secrets would match harmless values by chance."""

_NOT_PASSED = frozenset(
    {
        "authorization", "connection", "cookie", "cookie2", "expect", "forwarded", "host", "http2-settings",
        "keep-alive", "set-cookie", "te", "trailer", "trailers", "transfer-encoding", "upgrade", "x-real-ip",
        # signature and token headers of known systems
        "stripe-signature", "svix-signature", "webhook-signature", "x-gitlab-token", "x-hub-signature",
        "x-hub-signature-256", "x-phlix-signature", "x-phlix-signature-v2", "x-plinqx-signature", "x-signature",
        "x-splynx-signature", "x-webhook-signature",
    }
)  # fmt: skip
_TRACE = frozenset({"traceparent", "tracestate"})
"""Headers that messages have in lower case, in which they are looked up."""
_NOT_PASSED_BEGINNINGS = ("content-", "proxy-", "x-forwarded-")
_CREDENTIAL = re.compile(
    r"(?:^|[-_])(?:auth|authorization|token|secret|password|passwd|credentials?|api-?key|access-?key)(?:[-_]|$)"
)

_ID_HEADERS = ("webhook-id", "x-github-delivery", "idempotency-key", "x-gitlab-event-uuid", "svix-id")
"""Headers with a sender's id that stays the same when an event is sent again."""
_ID = re.compile(r"[\x21-\x7e]{1,255}")


def joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Returns headers by lower-case name; repeated fields are joined as in RFC 9110, 5.3."""
    found: dict[str, str] = {}
    for name, text in headers:
        lower = name.lower()
        found[lower] = f"{found[lower]}, {text}" if lower in found else text
    return found


def sender_id(headers: Mapping[str, str]) -> str | None:
    """Returns the sender's id of the event; header names are in lower case."""
    return next(filter(None, (_id_in(headers, name) for name in _ID_HEADERS)), None)


def signed_id(headers: Mapping[str, str], signature_header: str | None) -> str | None:
    """Returns the id that a verified Standard Webhooks signature covers; it may be kept as `webhook-id`."""
    return _id_in(headers, f"{stem_of(headers, signature_header)}id".lower())


def _id_in(headers: Mapping[str, str], name: str) -> str | None:
    found = headers.get(name, "").strip()
    return found if _ID.fullmatch(found) else None


class PassedOn:
    """The selection of headers that one inlet passes on."""

    def __init__(self, inlet: Inlet) -> None:
        self._looked_at = frozenset(chain.from_iterable(map(looked_at, inlet.verify)))
        secrets = chain.from_iterable(verifier.all_secrets for verifier in inlet.verify)
        self._secrets = sorted(set(chain.from_iterable(map(_forms, secrets))))

    def choose(self, headers: Sequence[tuple[str, str]]) -> dict[str, str] | None:
        """Returns names as sent, those of the trace context in lower case, and values as text; None if they exceed what a
        message can carry.
        """
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
            first = spelled.setdefault(lower, lower if lower in _TRACE else name)
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
    """Returns the headers, in lower case, that this verifier may read, beyond those that are never passed on."""
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
    """Returns the secret, and its password alone if it is `user:password`."""
    return {form for form in (secret, secret.partition(":")[2]) if len(form) >= _SHORTEST_SECRET}


def _named_by_connection(headers: Iterable[tuple[str, str]]) -> set[str]:
    """Returns the headers that concern this connection only, as listed in `Connection` (RFC 9110, 7.6.1)."""
    fields = (text for name, text in headers if name.lower() == "connection")
    return {option.strip().lower() for field in fields for option in field.split(",")}


def _text(raw: str) -> str:
    """Returns the value decoded as UTF-8, else as Latin-1."""
    try:
        raw.encode()
    except UnicodeEncodeError:
        return raw.encode("utf-8", "surrogateescape").decode("latin-1")
    return raw


def _is_bounded(headers: Mapping[str, str]) -> bool:
    if len(headers) > MOST_HEADERS or any(len(name) > _LONGEST_NAME for name in headers):
        return False
    return sum(len(name) + len(text.encode()) for name, text in headers.items()) <= MOST_BYTES


# Splynx's ping.


_LONGEST = 1000


def is_ping(body: bytes) -> bool:
    """Returns whether the body is `{"type": "ping"}`, as JSON or as a form, as Splynx's stock receiver reads it."""
    if len(body) > _LONGEST:
        return False
    if body.strip() == b"type=ping":
        return True
    data = parse(body)
    return isinstance(data, dict) and data.get("type") == "ping"


# The event type in the body, by the sender's signature scheme.


_LONGEST_BODY = 1024 * 1024
"""Maximum bytes of a body that are parsed on the event loop; no event of these schemes is larger."""


def type_in_body(scheme: str, body: bytes) -> str:
    """Returns the event's type, empty if the body has none, or if `scheme`, a verifier's type, defines none.

    Stripe's events have it under `type`; so have bodies as recommended by Standard Webhooks, recognized by `timestamp`
    and `data`. Sources: Stripe's API reference, "The Event object"; the specification of Standard Webhooks, "Payload
    structure".
    """
    if scheme not in {"stripe", "standard"} or len(body) > _LONGEST_BODY:
        return ""
    data = parse(body)
    if not isinstance(data, dict) or not isinstance(data.get("type"), str):
        return ""
    if scheme == "standard" and not {"timestamp", "data"} <= data.keys():
        return ""
    return event_type(data["type"])
