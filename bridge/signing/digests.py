"""Profiles that sign the body alone."""

import binascii
import hmac
from collections.abc import Callable, Sequence

from bridge.signing.shapes import (
    MISMATCH,
    SHA1,
    SHA256,
    Decode,
    SignedRequest,
    Untimed,
    VerificationFailure,
    from_hex,
    hash_name,
    header,
    keyed,
    keys_of,
    mac,
    one_of,
    signing_keys,
)
from bridge.wire.headers import header_text

Spell = Callable[[hmac.HMAC], str]
"""The function that encodes an HMAC for the header."""


def spelling(encoding: str) -> Spell:
    """Returns the encoder for `hex` (lower case) or `base64`."""
    return _base64 if encoding == "base64" else _hex


def _hex(digest: hmac.HMAC) -> str:
    return digest.hexdigest()


def _base64(digest: hmac.HMAC) -> str:
    return binascii.b2a_base64(digest.digest(), newline=False).decode()


class Splynx(Untimed):
    """`X-Splynx-Signature`: lower-case hex HMAC-SHA1 of the body, by the first secret.

    Source: Splynx's documentation of hooks, "Webhook".
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._key = keyed(signing_keys(secrets, "splynx")[0], SHA1)

    def headers(self, body: bytes, _id: str, _stamp: str, _type: str) -> list[tuple[str, str]]:
        return [("X-Splynx-Signature", mac(self._key, body).hexdigest())]


class Tiki(Untimed):
    """One header of any name with the HMAC of the body in base64 or hex, by the first secret.

    Source: Tiki's `tiki-webhooks.php` and its library `Webhook`: verification `base64 hmac` and `hmac`.
    """

    def __init__(self, secrets: Sequence[str], header: str, algorithm: str, encoding: str) -> None:
        self._key = keyed(signing_keys(secrets, "tiki")[0], hash_name(algorithm))
        self._header = header
        self._spell = spelling(encoding)

    def headers(self, body: bytes, _id: str, _stamp: str, _type: str) -> list[tuple[str, str]]:
        return [(self._header, self._spell(mac(self._key, body)))]


class GitHub(Untimed):
    """`X-Hub-Signature-256` and, for receivers of before 2020, `X-Hub-Signature`, by the first secret.

    Source: GitHub's documentation, "Validating webhook deliveries" and "Webhook events and payloads".
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        key = signing_keys(secrets, "github")[0]
        self._sha256, self._sha1 = keyed(key), keyed(key, SHA1)

    def headers(self, body: bytes, webhook_id: str, _stamp: str, event_type: str) -> list[tuple[str, str]]:
        """Returns the event's type if known, the id (the same for every attempt), and both signatures."""
        event = [("X-GitHub-Event", header_text(event_type))] if event_type else []
        return [
            *event,
            ("X-GitHub-Delivery", header_text(webhook_id)),
            ("X-Hub-Signature-256", "sha256=" + mac(self._sha256, body).hexdigest()),
            ("X-Hub-Signature", "sha1=" + mac(self._sha1, body).hexdigest()),
        ]


class Unsigned(Untimed):
    """The signer that adds no headers."""

    def headers(self, _body: bytes, _id: str, _stamp: str, _type: str) -> list[tuple[str, str]]:
        return []


# Verifiers of a signature over the body alone.


class BodySignature:
    """A verifier of one header with an HMAC of the body."""

    def __init__(
        self, name: str, secrets: Sequence[bytes], algorithm: str, decode: Decode, prefix: str = ""
    ) -> None:
        self._name = name
        self._keys = keys_of(secrets, algorithm)
        self._decode = decode
        self._prefix = prefix
        encoding = "hex" if decode is from_hex else "base64"
        self._malformed = VerificationFailure(
            f"the header {name} holds no {algorithm} signature in {encoding}"
        )

    def __call__(self, request: SignedRequest, _now: float) -> VerificationFailure | None:
        value = header(request, self._name)
        if isinstance(value, VerificationFailure):
            return value
        if not value.startswith(self._prefix):
            return VerificationFailure(f"the header {self._name} does not begin with {self._prefix}")
        return self.compare(value[len(self._prefix) :], request.body)

    def compare(self, text: str, body: bytes) -> VerificationFailure | None:
        """Returns None if `text` is the signature of `body` by one of the secrets."""
        given = self._decode(text)
        if given is None or len(given) != self._keys[0].digest_size:
            return self._malformed
        right = [mac(key, body).digest() for key in self._keys]
        return None if one_of([given], right) else MISMATCH


class SplynxCheck(BodySignature):
    """The verifier of Splynx's hex HMAC-SHA1; also accepts the prefix `sha1=`, which some receivers document."""

    def __init__(self, name: str, secrets: Sequence[bytes]) -> None:
        super().__init__(name, secrets, SHA1, from_hex)

    def compare(self, text: str, body: bytes) -> VerificationFailure | None:
        """Compare without the optional prefix, as BodySignature does."""
        return super().compare(text.removeprefix("sha1="), body)


class GitHubCheck:
    """The verifier of `X-Hub-Signature-256`; `X-Hub-Signature` (SHA-1) counts only if the former is absent."""

    def __init__(self, secrets: Sequence[bytes], name: str | None = None) -> None:
        """Prepare the verifier; `name` is one header in place of both, with either kind of signature."""
        self._sha256 = BodySignature(name or "X-Hub-Signature-256", secrets, SHA256, from_hex, "sha256=")
        self._sha1 = BodySignature(name or "X-Hub-Signature", secrets, SHA1, from_hex, "sha1=")
        self._name = name

    def __call__(self, request: SignedRequest, now: float) -> VerificationFailure | None:
        if self._name:
            old = request.headers.get(self._name.lower(), "").strip().startswith("sha1=")
        else:
            old = "x-hub-signature-256" not in request.headers and "x-hub-signature" in request.headers
        return (self._sha1 if old else self._sha256)(request, now)
