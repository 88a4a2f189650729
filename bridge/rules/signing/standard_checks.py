"""The verifier of Standard Webhooks; its source: see bridge.rules.signing.standard."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from bridge.rules.signing.keys import mac
from bridge.rules.signing.reading import (
    MAX_SIGNATURES,
    MISMATCH,
    from_base64,
    header,
    octets,
    one_of,
    stale,
    unix_seconds,
)
from bridge.rules.signing.shapes import Refused, SignedRequest
from bridge.rules.signing.standard import key_bytes, symmetric_key

Check = Callable[[Sequence[bytes], bytes], bool]
"""Whether one of the signatures was made over the content with the key at hand."""


STEMS = ("webhook-", "svix-")
"""How the names of the three headers begin, of Standard Webhooks and of Svix."""


def stem_of(headers: Mapping[str, str], name: str | None) -> str:
    """How the names begin of the headers that a request is verified by; `name`: that of the signature, where the verifier
    has one. Names of `headers` are in lower case.
    """
    if name:
        return name[: -len("signature")] if name.lower().endswith("-signature") else STEMS[0]
    return next((stem for stem in STEMS if f"{stem}signature" in headers), STEMS[0])


class Key(NamedTuple):
    """One live secret: the version of the signatures that it can verify, and how."""

    version: str
    check: Check


class Standard:
    """Signatures v1 and v1a over `id.timestamp.body`; any of them by any of the secrets is enough."""

    def __init__(self, secrets: Sequence[str], tolerance: float, name: str = "webhook-signature") -> None:
        """`name`: another header such as svix-signature; id and timestamp are then svix-id, svix-timestamp.

        Raises ValueError for a secret that is none.
        """
        stem = stem_of({}, name)
        self._name, self._id_name, self._stamp_name = name, f"{stem}id", f"{stem}timestamp"
        self._keys = [_key(secret) for secret in secrets]
        self._versions = sorted({key.version for key in self._keys})
        self._tolerance = tolerance

    def __call__(self, request: SignedRequest, now: float) -> Refused | None:
        """As `Verify`."""
        values = [header(request, name) for name in (self._name, self._id_name, self._stamp_name)]
        for value in values:
            if isinstance(value, Refused):
                return value
        signatures, webhook_id, stamp = (str(value) for value in values)
        seconds = unix_seconds(stamp)
        if seconds is None:
            return Refused(f"the header {self._stamp_name} is no number of seconds")
        given = self._given(signatures)
        if isinstance(given, Refused):
            return given
        content = octets(f"{webhook_id}.{stamp}.") + request.body
        if not any(key.check(given[key.version], content) for key in self._keys):
            return MISMATCH
        return stale(seconds, now, self._tolerance)

    def _given(self, value: str) -> dict[str, list[bytes]] | Refused:
        """The signatures by version; versions that no key is for, and text that is no signature, are left out."""
        items = value.split()
        if len(items) > MAX_SIGNATURES:
            return Refused(f"the header {self._name} holds more than {MAX_SIGNATURES} signatures")
        given: dict[str, list[bytes]] = {version: [] for version in self._versions}
        for item in items:
            version, _, text = item.partition(",")
            signature = from_base64(text)
            if version in given and signature:
                given[version].append(signature)
        if not any(given.values()):
            return Refused(f"the header {self._name} holds no {' or '.join(self._versions)} signature")
        return given


class EitherOf:
    """By the headers of Standard Webhooks where these are there, else by those of Svix."""

    def __init__(self, standard: Standard, svix: Standard) -> None:
        self._by_stem = dict(zip(STEMS, (standard, svix), strict=True))

    def __call__(self, request: SignedRequest, now: float) -> Refused | None:
        """As `Verify`."""
        return self._by_stem[stem_of(request.headers, None)](request, now)


def _key(secret: str) -> Key:
    secret = secret.strip()
    if secret.startswith(("whpk_", "whsk_")):
        return Key("v1a", _asymmetric(secret))
    key = symmetric_key(secret)

    def check(given: Sequence[bytes], content: bytes) -> bool:
        return one_of(given, [mac(key, content).digest()])

    return Key("v1", check)


def _asymmetric(secret: str) -> Check:
    from bridge.rules.signing import ed25519  # loads a large library for a rare kind of key

    prefix = secret[:5]
    key = key_bytes(secret, prefix)
    public = ed25519.public_key(key) if prefix == "whpk_" else ed25519.private_key(key).public_key()
    return lambda given, content: any(ed25519.verifies(public, one, content) for one in given)
