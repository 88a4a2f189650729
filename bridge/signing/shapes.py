"""What signers and verifiers have in common: the request that is signed, and the two ports."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

from bridge.core.base import value


@value(frozen=True, slots=True)
class SignedRequest:
    """A request as a verifier sees it.

    Names of `headers` are in lower case; `path` is without the query, percent-encoded as it was sent.
    """

    body: bytes
    headers: Mapping[str, str]
    method: str = "POST"
    path: str = "/"


@value(frozen=True, slots=True)
class Refused:
    """Why a request does not verify, in words for its sender; never holds a secret or the right signature."""

    reason: str


class Signer(Protocol):
    """Makes the headers of one request."""

    def stamp(self, now: float) -> str:
        """The timestamp as this scheme writes it, of Unix seconds; empty where it has none."""
        ...

    def headers(self, body: bytes, webhook_id: str, stamp: str, event_type: str) -> list[tuple[str, str]]:
        """Names and values for exactly these body bytes.

        `stamp` is the attempt's, a text without line breaks; an empty `event_type` is one that is not known.
        """
        ...


class Verify(Protocol):
    """One verifier, ready for requests."""

    def __call__(self, request: SignedRequest, now: float) -> Refused | None:
        """None when the request proves to come from a holder of the secret; `now` in Unix seconds."""
        ...


# Secrets made ready for signing, and hashes by the names that people know them by.


SHA256: Final = "sha256"
SHA1: Final = "sha1"


def hash_name(text: str) -> str:
    """The name in Python's hashlib of a hash as Python or PHP (`hash_hmac_algos()`) calls it.

    `sha512/256` is sha512_256, `sha3-256` is sha3_256, `SHA-256` is sha256. Raises ValueError for a hash that
    this platform lacks, or that no HMAC can be made with.
    """
    lower = text.strip().lower()
    for name in (lower.replace("/", "_").replace("-", "_"), lower.replace("-", "")):
        if name in hashlib.algorithms_available and _makes_hmacs(name):
            return name
    raise ValueError(f"{text!r} is no hash that this platform has; sha256 and sha512 exist everywhere")


def _makes_hmacs(name: str) -> bool:
    """Some names are listed but not there (OpenSSL's legacy provider), and SHAKE has no fixed length."""
    try:
        return hmac.new(b"k", b"", name).digest_size > 0
    except (ValueError, TypeError):
        return False


def text_keys(secrets: Iterable[str], *, empty: bool = False) -> list[bytes]:
    """The UTF-8 bytes of secrets that are keys as they stand; raises ValueError for an empty one unless `empty`."""
    try:
        keys = [secret.encode() for secret in secrets]
    except UnicodeEncodeError:
        raise ValueError("a secret is no valid Unicode text") from None
    if not empty and not all(keys):
        raise ValueError("a secret is empty")
    return keys


def signing_keys(secrets: Sequence[str], profile: str) -> list[bytes]:
    """As `text_keys`, for a profile that exists for its signature: raises ValueError without any secret."""
    if not secrets:
        raise ValueError(
            f"profile {profile} needs a secret to sign with; to send unsigned choose profile none"
        )
    return text_keys(secrets)


def keyed(key: bytes, name: str = SHA256) -> hmac.HMAC:
    """The state of an HMAC that has taken in its key and nothing else; `copy` it for each message."""
    return hmac.new(key, None, name)


def mac(key: hmac.HMAC, message: bytes) -> hmac.HMAC:
    """The HMAC of one message.

    A copy of the keyed state saves hashing the key again: 1.4 us, one-shot hmac.digest takes 2.0 us.
    """
    copy = key.copy()
    copy.update(message)
    return copy


def mac_of_two(key: hmac.HMAC, opening: bytes, body: bytes) -> hmac.HMAC:
    """The HMAC of `opening` and `body` one after the other, without joining them."""
    copy = key.copy()
    copy.update(opening)
    copy.update(body)
    return copy


# What verifiers read from a request: headers, signatures, timestamps. None of it raises, whatever was sent.


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
