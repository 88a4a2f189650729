"""Verifiers of a signature over a timestamp and the body."""

from collections.abc import Sequence
from typing import NamedTuple

from bridge.rules.signing.body_checks import BodySignature
from bridge.rules.signing.keys import SHA256, mac_of_two
from bridge.rules.signing.reading import (
    MAX_SIGNATURES,
    MISMATCH,
    from_hex,
    header,
    keys_of,
    moment,
    octets,
    one_of,
    stale,
    unix_seconds,
)
from bridge.rules.signing.shapes import Refused, SignedRequest


class Timed(NamedTuple):
    """What a header of the form `t=...,v1=...` holds."""

    stamp: str
    seconds: int
    signatures: list[bytes]


class Timestamped:
    """One header `t=<Unix seconds>,v1=<hex>`, with any number of `v1`, over `<t>.` and the body."""

    def __init__(
        self, name: str, secrets: Sequence[bytes], tolerance: float, algorithm: str = SHA256
    ) -> None:
        self._name = name
        self._keys = keys_of(secrets, algorithm)
        self._tolerance = tolerance

    def __call__(self, request: SignedRequest, now: float) -> Refused | None:
        """As `Verify`."""
        value = header(request, self._name)
        if isinstance(value, Refused):
            return value
        timed = _timed(self._name, value)
        if isinstance(timed, Refused):
            return timed
        opening = f"{timed.stamp}.".encode()
        right = [mac_of_two(key, opening, request.body).digest() for key in self._keys]
        if not one_of(timed.signatures, right):
            return MISMATCH
        return stale(timed.seconds, now, self._tolerance)


def _timed(name: str, value: str) -> Timed | Refused:
    """Parts of other names are left alone; anything else that is not of the form fails closed."""
    parts = [part.partition("=") for part in value.split(",")]
    named = [(key.strip(), text.strip()) for key, _, text in parts]
    stamps = [text for key, text in named if key == "t"]
    signatures = [from_hex(text) for key, text in named if key == "v1"]
    if len(stamps) != 1 or not signatures:
        return Refused(f"the header {name} is not of the form t=...,v1=...")
    seconds = unix_seconds(stamps[0])
    if seconds is None:
        return Refused(f"the timestamp in {name} is no number of seconds")
    if len(signatures) > MAX_SIGNATURES:
        return Refused(f"the header {name} holds more than {MAX_SIGNATURES} signatures")
    usable = [signature for signature in signatures if signature is not None]
    return Timed(stamps[0], seconds, usable) if usable else Refused(f"the header {name} holds no v1 in hex")


class Phlix:
    """`X-Phlix-Signature-V2` where it is present, and then it alone; else the untimed `X-Phlix-Signature`."""

    def __init__(self, name: str, secrets: Sequence[bytes], tolerance: float) -> None:
        """`name`: of the untimed header; the other one's is the same with `-V2`."""
        self._present = f"{name}-v2".lower()
        self._timed = Timestamped(f"{name}-V2", secrets, tolerance)
        self._legacy = BodySignature(name, secrets, SHA256, from_hex, "sha256=")

    def __call__(self, request: SignedRequest, now: float) -> Refused | None:
        """As `Verify`."""
        return (self._timed if self._present in request.headers else self._legacy)(request, now)


class Plinqx:
    """Hex HMAC-SHA256 over the text of a timestamp header with the body right after it.

    Plinqx does not publish the unit of its timestamp: it is signed as text, and its age is read from whatever
    form it has. One that has none would be good for ever, so it is refused.
    """

    def __init__(self, name: str, stamp_name: str, secrets: Sequence[bytes], tolerance: float) -> None:
        self._name, self._stamp_name = name, stamp_name
        self._keys = keys_of(secrets, SHA256)
        self._tolerance = tolerance

    def __call__(self, request: SignedRequest, now: float) -> Refused | None:
        """As `Verify`."""
        value, stamp = header(request, self._name), header(request, self._stamp_name)
        if isinstance(value, Refused):
            return value
        if isinstance(stamp, Refused):
            return stamp
        given = from_hex(value)
        if given is None:
            return Refused(f"the header {self._name} holds no sha256 signature in hex")
        opening = octets(stamp)
        if not one_of([given], [mac_of_two(key, opening, request.body).digest() for key in self._keys]):
            return MISMATCH
        at = moment(stamp)
        if at is None:
            return Refused(f"the timestamp in {self._stamp_name} is in no known form")
        return stale(at, now, self._tolerance)
