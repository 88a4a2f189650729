"""Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks, spec, "Verifying webhook authenticity".

`webhook-signature` holds one signature over `id.timestamp.body` per secret, separated by spaces: `v1,` and the
base64 of an HMAC-SHA256 for a `whsec_` secret, `v1a,` and the base64 of an ed25519 signature for a `whsk_` key.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from bridge.signing import shapes
from bridge.wire.headers import header_text, identifier

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_FIT = re.compile(r"[!-\-/-~]+")
"""Ids that are signed unchanged: visible ASCII without a full stop, which would make the end of the id ambiguous."""

Sign = Callable[[bytes, bytes], str]
"""The function that creates one signature for the header, over a prefix and the body."""


class Standard(shapes.UnixTimed):
    """The signer of Standard Webhooks; without a secret it omits `webhook-signature`."""

    def __init__(self, secrets: Sequence[str], event_header: str | None = None) -> None:
        """Prepare the keys; `event_header` is an additional header with the event's type."""
        self._sign = [_sign(secret) for secret in secrets]
        self._event_header = event_header

    def headers(self, body: bytes, webhook_id: str, stamp: str, event_type: str) -> list[tuple[str, str]]:
        """Returns `webhook-id` and `webhook-timestamp`, and `webhook-signature` if there is a secret."""
        if not _FIT.fullmatch(webhook_id):
            webhook_id = identifier(webhook_id)
        headers = [("webhook-id", webhook_id), ("webhook-timestamp", stamp)]
        if self._sign:
            opening = f"{webhook_id}.{stamp}.".encode()
            headers.append(("webhook-signature", " ".join([sign(opening, body) for sign in self._sign])))
        if self._event_header and event_type:
            headers.append((self._event_header, header_text(event_type)))
        return headers


def symmetric_key(secret: str) -> hmac.HMAC:
    """Returns the key of a `whsec_` secret. Raises ValueError."""
    key = key_bytes(secret, "whsec_")
    if not key:
        raise ValueError("a secret is empty")
    return shapes.keyed(key)


def key_bytes(secret: str, prefix: str) -> bytes:
    """Returns the decoded bytes of an optional `prefix` followed by base64. Raises ValueError.

    Accepts missing padding, as the reference libraries do, and ignores surrounding blanks.
    """
    text = secret.strip().removeprefix(prefix)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(
            "a secret is no base64; Standard Webhooks takes `whsec_` and the base64 of 24 to 64 random bytes"
        ) from None


def _sign(secret: str) -> Sign:
    secret = secret.strip()
    if secret.startswith("whpk_"):
        raise ValueError(
            "a whpk_ key is public and cannot sign; profile standard signs with whsec_ and whsk_"
        )
    if secret.startswith("whsk_"):
        return _version_1a(key_bytes(secret, "whsk_"))
    return _version_1(symmetric_key(secret))


def _version_1(key: hmac.HMAC) -> Sign:
    def sign(opening: bytes, body: bytes) -> str:
        digest = shapes.mac_of_two(key, opening, body).digest()
        return "v1," + binascii.b2a_base64(digest, newline=False).decode()

    return sign


def _version_1a(key: bytes) -> Sign:
    private = private_key(key)

    def sign(opening: bytes, body: bytes) -> str:
        return "v1a," + base64.b64encode(private.sign(opening + body)).decode()

    return sign


# The verifier of Standard Webhooks.


Check = Callable[[Sequence[bytes], bytes], bool]
"""The function that returns whether one of the signatures of the content is valid for its key."""


STEMS = ("webhook-", "svix-")
"""The prefixes of the three headers, of Standard Webhooks and of Svix."""


def stem_of(headers: Mapping[str, str], name: str | None) -> str:
    """Returns the prefix of the headers that a request is verified by; `name` is the configured signature header,
    if any. Names of `headers` are in lower case.
    """
    if name:
        return name[: -len("signature")] if name.lower().endswith("-signature") else STEMS[0]
    return next((stem for stem in STEMS if f"{stem}signature" in headers), STEMS[0])


class Key(NamedTuple):
    """One active secret: the signature version that it verifies, and its check."""

    version: str
    check: Check


class StandardCheck:
    """The verifier of signatures v1 and v1a over `id.timestamp.body`; one valid signature by any secret suffices."""

    def __init__(self, secrets: Sequence[str], tolerance: float, name: str = "webhook-signature") -> None:
        """Prepare the keys; with another header such as svix-signature, id and timestamp are svix-id and
        svix-timestamp.

        Raises ValueError for an invalid secret.
        """
        stem = stem_of({}, name)
        self._name, self._id_name, self._stamp_name = name, f"{stem}id", f"{stem}timestamp"
        self._keys = [_key(secret) for secret in secrets]
        self._versions = sorted({key.version for key in self._keys})
        self._tolerance = tolerance

    def __call__(self, request: shapes.SignedRequest, now: float) -> shapes.VerificationFailure | None:
        values = [shapes.header(request, name) for name in (self._name, self._id_name, self._stamp_name)]
        for value in values:
            if isinstance(value, shapes.VerificationFailure):
                return value
        signatures, webhook_id, stamp = (str(value) for value in values)
        seconds = shapes.unix_seconds(stamp)
        if seconds is None:
            return shapes.VerificationFailure(f"the header {self._stamp_name} is no number of seconds")
        given = self._given(signatures)
        if isinstance(given, shapes.VerificationFailure):
            return given
        content = shapes.octets(f"{webhook_id}.{stamp}.") + request.body
        if not any(key.check(given[key.version], content) for key in self._keys):
            return shapes.MISMATCH
        return shapes.stale(seconds, now, self._tolerance)

    def _given(self, value: str) -> dict[str, list[bytes]] | shapes.VerificationFailure:
        """Returns the signatures by version, without versions that have no key and without invalid text."""
        items = value.split()
        if len(items) > shapes.MAX_SIGNATURES:
            return shapes.VerificationFailure(
                f"the header {self._name} holds more than {shapes.MAX_SIGNATURES} signatures"
            )
        given: dict[str, list[bytes]] = {version: [] for version in self._versions}
        for item in items:
            version, _, text = item.partition(",")
            signature = shapes.from_base64(text)
            if version in given and signature:
                given[version].append(signature)
        if not any(given.values()):
            return shapes.VerificationFailure(
                f"the header {self._name} holds no {' or '.join(self._versions)} signature"
            )
        return given


class EitherOf:
    """A verifier by the headers of Standard Webhooks if present, else by those of Svix."""

    def __init__(self, standard: StandardCheck, svix: StandardCheck) -> None:
        self._by_stem = dict(zip(STEMS, (standard, svix), strict=True))

    def __call__(self, request: shapes.SignedRequest, now: float) -> shapes.VerificationFailure | None:
        return self._by_stem[stem_of(request.headers, None)](request, now)


def _key(secret: str) -> Key:
    secret = secret.strip()
    if secret.startswith(("whpk_", "whsk_")):
        return Key("v1a", _asymmetric(secret))
    key = symmetric_key(secret)

    def check(given: Sequence[bytes], content: bytes) -> bool:
        return shapes.one_of(given, [shapes.mac(key, content).digest()])

    return Key("v1", check)


def _asymmetric(secret: str) -> Check:
    prefix = secret[:5]
    key = key_bytes(secret, prefix)
    public = public_key(key) if prefix == "whpk_" else private_key(key).public_key()
    return lambda given, content: any(verifies(public, one, content) for one in given)


# Keys of Standard Webhooks' asymmetric scheme v1a. The library is imported only if a hook or an inlet has such a key: it
# takes 30 ms and 9 MB.


SEED = 32
PUBLIC = 32


def private_key(key: bytes) -> "Ed25519PrivateKey":
    """Returns the key of a 32-byte seed, or of 64 bytes: seed and public key, in Svix's format.

    Raises ValueError for another length, and for halves that do not match.
    """
    if len(key) not in (SEED, SEED + PUBLIC):
        raise ValueError(
            f"a whsk_ secret holds {len(key)} bytes; an ed25519 key has 32, or 64 with its public half"
        )
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.from_private_bytes(key[:SEED])
    if key[SEED:] and private.public_key().public_bytes_raw() != key[SEED:]:
        raise ValueError("the two halves of a whsk_ secret do not belong together")
    return private


def public_key(key: bytes) -> "Ed25519PublicKey":
    """Returns the key of 32 bytes. Raises ValueError for another length."""
    if len(key) != PUBLIC:
        raise ValueError(f"a whpk_ key holds {len(key)} bytes; an ed25519 public key has 32")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(key)


def verifies(key: "Ed25519PublicKey", signature: bytes, content: bytes) -> bool:
    """Returns whether `signature` of `content` is valid for `key`."""
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True
