"""What verifiers read from a request: headers, signatures, timestamps. None of it raises, whatever was sent."""

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from bridge.rules.signing.keys import keyed
from bridge.rules.signing.shapes import Refused, SignedRequest

MAX_VALUE = 8192
"""Characters of a header that are looked at: what HTTP servers take, and no sender signs with more."""
MAX_SIGNATURES = 32
"""Signatures of one request that are tried: no sender has more secrets, and each try costs."""
MISMATCH = Refused("the signature does not match the body")

_UNIX = re.compile(r"[0-9]{1,19}(?:\.[0-9]{1,9})?", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)

Decode = Callable[[str], bytes | None]
"""Bytes of a written signature; None when it is not written so."""


def header(request: SignedRequest, name: str) -> str | Refused:
    """The value of a header, without surrounding spaces; `name` in any case."""
    value = request.headers.get(name.lower())
    if value is None:
        return Refused(f"no header {name}")
    if len(value) > MAX_VALUE:
        return Refused(f"the header {name} has more than {MAX_VALUE} characters")
    return value.strip()


def octets(text: str) -> bytes:
    """The bytes of a header as they were sent: servers decode UTF-8 and escape what is none."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def from_hex(text: str) -> bytes | None:
    """The bytes of hex digits in either case."""
    try:
        return binascii.unhexlify(text)
    except ValueError:
        return None


def from_base64(text: str) -> bytes | None:
    """The bytes of standard base64 as encoders write it.

    No other spelling is taken, neither without padding nor with stray bits in the last letter: senders' systems
    compare the texts, and so a signature that was changed must not pass.
    """
    try:
        decoded = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return decoded if base64.b64encode(decoded).decode() == text else None


def decoding(encoding: str) -> Decode:
    """How `hex` or `base64` is read."""
    return from_base64 if encoding == "base64" else from_hex


def keys_of(secrets: Iterable[bytes], algorithm: str) -> list[hmac.HMAC]:
    """A keyed state for each secret."""
    return [keyed(secret, algorithm) for secret in secrets]


def one_of(candidates: Sequence[bytes], right: Sequence[bytes]) -> bool:
    """Whether any candidate is any of the right ones; how long it takes tells nothing about which or where."""
    return sum(hmac.compare_digest(a, b) for a in candidates for b in right) > 0


def unix_seconds(text: str) -> int | None:
    """A count of whole seconds as schemes with a fixed form of timestamps write it."""
    return int(text) if _SECONDS.fullmatch(text) else None


def moment(text: str) -> float | None:
    """Unix seconds of a timestamp in any usual form.

    Seconds, or milli-, micro- or nanoseconds as its size tells, or ISO 8601; without a zone that is UTC.
    """
    if _UNIX.fullmatch(text):
        number = float(text)
        while number >= 1e11:  # as seconds that would be the year 5138
            number /= 1000
        return number
    try:
        parsed = datetime.fromisoformat(text)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def stale(at: float, now: float, tolerance: float) -> Refused | None:
    """None while `at` lies within `tolerance` seconds of `now`, before or after it; fractions do not count."""
    age = int(now) - int(at)
    if abs(age) <= tolerance:
        return None
    lies = "old" if age > 0 else "ahead"
    return Refused(f"the timestamp is {abs(age)} s {lies}, {tolerance:g} s are allowed")
