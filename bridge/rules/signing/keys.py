"""Secrets made ready for signing, and hashes by the names that people know them by."""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from typing import Final

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
