"""Profiles that sign a timestamp with the body, renewed for each attempt."""

import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from bridge.signing.generic import BodySignature
from bridge.signing.shapes import (
    MAX_SIGNATURES,
    MISMATCH,
    SHA256,
    SignedRequest,
    UnixTimed,
    VerificationFailure,
    from_hex,
    header,
    keyed,
    keys_of,
    mac,
    mac_of_two,
    moment,
    octets,
    one_of,
    signing_keys,
    stale,
    text_keys,
    unix_seconds,
)
from bridge.wire.headers import header_text


class Phlix(UnixTimed):
    """The signer of both generations of Phlix's signature.

    `X-Phlix-Signature`: `sha256=` and the hex HMAC-SHA256 of the body, by the first secret. `X-Phlix-Signature-V2`:
    `t=<Unix seconds>` and a `v1=` for each secret, over `<t>.` and the body. Source: Phlix's documentation of webhooks,
    and its signer `WebhookSigner`.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys = [keyed(key) for key in signing_keys(secrets, "phlix")]

    def headers(self, body: bytes, _id: str, stamp: str, _type: str) -> list[tuple[str, str]]:
        return [
            ("X-Phlix-Signature", "sha256=" + mac(self._keys[0], body).hexdigest()),
            ("X-Phlix-Signature-V2", timed_signatures(self._keys, stamp, body)),
        ]


class Stripe(UnixTimed):
    """`t=<Unix seconds>` and a `v1=` for each secret: hex HMAC-SHA256 over `<t>.` and the body.

    Source: Stripe's documentation, "Verify webhook signatures manually".
    """

    def __init__(self, secrets: Sequence[str], header: str) -> None:
        self._keys = [keyed(key) for key in signing_keys(secrets, "stripe")]
        self._header = header

    def headers(self, body: bytes, _id: str, stamp: str, _type: str) -> list[tuple[str, str]]:
        return [(self._header, timed_signatures(self._keys, stamp, body))]


class Plinqx:
    """`X-Plinqx-Signature`: hex HMAC-SHA256 over the text of `X-Plinqx-Timestamp` with the body right after it.

    By the first secret; without one there is no signature header. Source: Plinqx's documentation, "Webhooks".
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        keys = text_keys(secrets)
        self._key = keyed(keys[0]) if keys else None

    def stamp(self, now: float) -> str:
        """Returns ISO 8601 in UTC with whole seconds, such as 2025-05-05T07:08:09Z."""
        return datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def headers(self, body: bytes, _id: str, stamp: str, event_type: str) -> list[tuple[str, str]]:
        """Returns the event's type if known, the timestamp as given, and the signature over it."""
        headers = [("X-Plinqx-Event", header_text(event_type))] if event_type else []
        headers.append(("X-Plinqx-Timestamp", stamp))
        if self._key:
            headers.append(("X-Plinqx-Signature", mac_of_two(self._key, stamp.encode(), body).hexdigest()))
        return headers


def timed_signatures(keys: Sequence[hmac.HMAC], stamp: str, body: bytes) -> str:
    """Returns `t=...,v1=...` with one `v1` for each key."""
    opening = f"{stamp}.".encode()
    signatures = [f"v1={mac_of_two(key, opening, body).hexdigest()}" for key in keys]
    return ",".join((f"t={stamp}", *signatures))


# Verifiers of a signature over a timestamp and the body.


class Timed(NamedTuple):
    """The parsed header of the form `t=...,v1=...`."""

    stamp: str
    seconds: int
    signatures: list[bytes]


class TimestampedCheck:
    """The verifier of a header `t=<Unix seconds>,v1=<hex>`, with any number of `v1`, over `<t>.` and the body."""

    def __init__(
        self, name: str, secrets: Sequence[bytes], tolerance: float, algorithm: str = SHA256
    ) -> None:
        self._name = name
        self._keys = keys_of(secrets, algorithm)
        self._tolerance = tolerance

    def __call__(self, request: SignedRequest, now: float) -> VerificationFailure | None:
        value = header(request, self._name)
        if isinstance(value, VerificationFailure):
            return value
        timed = _timed(self._name, value)
        if isinstance(timed, VerificationFailure):
            return timed
        opening = f"{timed.stamp}.".encode()
        right = [mac_of_two(key, opening, request.body).digest() for key in self._keys]
        if not one_of(timed.signatures, right):
            return MISMATCH
        return stale(timed.seconds, now, self._tolerance)


def _timed(name: str, value: str) -> Timed | VerificationFailure:
    """Parse the header: parts with unknown names are ignored, any other deviation is refused."""
    parts = [part.partition("=") for part in value.split(",")]
    named = [(key.strip(), text.strip()) for key, _, text in parts]
    stamps = [text for key, text in named if key == "t"]
    signatures = [from_hex(text) for key, text in named if key == "v1"]
    if len(stamps) != 1 or not signatures:
        return VerificationFailure(f"the header {name} is not of the form t=...,v1=...")
    seconds = unix_seconds(stamps[0])
    if seconds is None:
        return VerificationFailure(f"the timestamp in {name} is no number of seconds")
    if len(signatures) > MAX_SIGNATURES:
        return VerificationFailure(f"the header {name} holds more than {MAX_SIGNATURES} signatures")
    usable = [signature for signature in signatures if signature is not None]
    return (
        Timed(stamps[0], seconds, usable)
        if usable
        else VerificationFailure(f"the header {name} holds no v1 in hex")
    )


class PhlixCheck:
    """The verifier of `X-Phlix-Signature-V2`, or, only if that is absent, of the untimed `X-Phlix-Signature`."""

    def __init__(self, name: str, secrets: Sequence[bytes], tolerance: float) -> None:
        """Prepare the verifier; `name` is the untimed header, the other header has the suffix `-V2`."""
        self._present = f"{name}-v2".lower()
        self._timed = TimestampedCheck(f"{name}-V2", secrets, tolerance)
        self._legacy = BodySignature(name, secrets, SHA256, from_hex, "sha256=")

    def __call__(self, request: SignedRequest, now: float) -> VerificationFailure | None:
        return (self._timed if self._present in request.headers else self._legacy)(request, now)


class PlinqxCheck:
    """The verifier of a hex HMAC-SHA256 over the text of a timestamp header followed by the body.

    Plinqx does not publish the format of its timestamp: it is signed as text, and its age is parsed from any usual
    format. A timestamp without a known format would be valid forever, so it is refused.
    """

    def __init__(self, name: str, stamp_name: str, secrets: Sequence[bytes], tolerance: float) -> None:
        self._name, self._stamp_name = name, stamp_name
        self._keys = keys_of(secrets, SHA256)
        self._tolerance = tolerance

    def __call__(self, request: SignedRequest, now: float) -> VerificationFailure | None:
        value, stamp = header(request, self._name), header(request, self._stamp_name)
        if isinstance(value, VerificationFailure):
            return value
        if isinstance(stamp, VerificationFailure):
            return stamp
        given = from_hex(value)
        if given is None:
            return VerificationFailure(f"the header {self._name} holds no sha256 signature in hex")
        opening = octets(stamp)
        if not one_of([given], [mac_of_two(key, opening, request.body).digest() for key in self._keys]):
            return MISMATCH
        at = moment(stamp)
        if at is None:
            return VerificationFailure(f"the timestamp in {self._stamp_name} is in no known form")
        return stale(at, now, self._tolerance)
