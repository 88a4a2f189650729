"""Verifiers of a signature over the body alone."""

import hmac
from collections.abc import Sequence

from bridge.rules.signing.keys import SHA1, SHA256, mac
from bridge.rules.signing.reading import MISMATCH, Decode, from_hex, header, keys_of, one_of
from bridge.rules.signing.shapes import Refused, SignedRequest


class BodySignature:
    """One header with an HMAC of the body."""

    def __init__(
        self, name: str, secrets: Sequence[bytes], algorithm: str, decode: Decode, prefix: str = ""
    ) -> None:
        self._name = name
        self._keys = keys_of(secrets, algorithm)
        self._decode = decode
        self._prefix = prefix
        encoding = "hex" if decode is from_hex else "base64"
        self._malformed = Refused(f"the header {name} holds no {algorithm} signature in {encoding}")

    def __call__(self, request: SignedRequest, now: float) -> Refused | None:
        """As `Verify`."""
        del now
        value = header(request, self._name)
        if isinstance(value, Refused):
            return value
        if not value.startswith(self._prefix):
            return Refused(f"the header {self._name} does not begin with {self._prefix}")
        return self.compare(value[len(self._prefix) :], request.body)

    def compare(self, text: str, body: bytes) -> Refused | None:
        """None when `text` is the signature of `body` by one of the secrets."""
        given = self._decode(text)
        if given is None or len(given) != self._keys[0].digest_size:
            return self._malformed
        return None if _matches(self._keys, given, body) else MISMATCH


class Splynx(BodySignature):
    """Splynx's hex HMAC-SHA1; some receivers show it with `sha1=` before it, which is taken too."""

    def __init__(self, name: str, secrets: Sequence[bytes]) -> None:
        super().__init__(name, secrets, SHA1, from_hex)

    def compare(self, text: str, body: bytes) -> Refused | None:
        """As BodySignature."""
        return super().compare(text.removeprefix("sha1="), body)


class GitHub:
    """`X-Hub-Signature-256`; `X-Hub-Signature` (SHA-1) counts only where the other one is absent."""

    def __init__(self, secrets: Sequence[bytes], name: str | None = None) -> None:
        """`name`: a header to look at in place of both, with either kind of signature in it."""
        self._sha256 = BodySignature(name or "X-Hub-Signature-256", secrets, SHA256, from_hex, "sha256=")
        self._sha1 = BodySignature(name or "X-Hub-Signature", secrets, SHA1, from_hex, "sha1=")
        self._name = name

    def __call__(self, request: SignedRequest, now: float) -> Refused | None:
        """As `Verify`."""
        if self._name:
            old = request.headers.get(self._name.lower(), "").strip().startswith("sha1=")
        else:
            old = "x-hub-signature-256" not in request.headers and "x-hub-signature" in request.headers
        return (self._sha1 if old else self._sha256)(request, now)


def _matches(keys: Sequence[hmac.HMAC], given: bytes, body: bytes) -> bool:
    return one_of([given], [mac(key, body).digest() for key in keys])
