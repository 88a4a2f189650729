"""Profiles that sign the body alone, and the profile that is fully defined by its options."""

import binascii
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from bridge.core.inlet import Verifier
from bridge.core.target import Signature
from bridge.signing import shapes
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
from bridge.wire.headers import check_headers, header_text

Spell = Callable[[hmac.HMAC], str]
"""The function that encodes an HMAC for the header."""


def spelling(encoding: str) -> Spell:
    """Returns the encoder for `hex` (lower case) or `base64`."""
    return _base64 if encoding == "base64" else _hex


def _hex(digest: hmac.HMAC) -> str:
    return digest.hexdigest()


def _base64(digest: hmac.HMAC) -> str:
    return binascii.b2a_base64(digest.digest(), newline=False).decode()


# Signers of the body alone.


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


# The signed text of profile `generic`: a template with placeholders, parsed once.


PLACEHOLDERS: Final = ("body", "timestamp", "id", "event", "method", "path")
_HOLE = re.compile(r"\{([a-z_]+)\}", re.IGNORECASE)


class SignaturePlaceholder(NamedTuple):
    """A placeholder that is filled for each request."""

    name: str


class SignedText:
    """A template whose filled-in values are not parsed again: braces in values mean nothing.

    Raises ValueError for a placeholder that is not in `PLACEHOLDERS`.
    """

    def __init__(self, text: str, fixed: Mapping[str, str]) -> None:
        """Parse the template; `fixed` fills the placeholders that are the same for every request."""
        parts = _HOLE.split(text)
        self.placeholders = frozenset(parts[1::2])
        if unknown := self.placeholders - frozenset(PLACEHOLDERS):
            names = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
            raise ValueError(
                f"the template has {{{min(unknown)}}}, which is no placeholder; allowed are {names}"
            )
        self._parts = tuple(_parts(parts, fixed))

    def mac(self, key: hmac.HMAC, filled: Mapping[str, bytes]) -> hmac.HMAC:
        """Returns the HMAC of the template with its placeholders filled."""
        copy = key.copy()
        for part in self._parts:
            copy.update(part if isinstance(part, bytes) else filled[part.name])
        return copy


def _parts(split: list[str], fixed: Mapping[str, str]) -> list[bytes | SignaturePlaceholder]:
    """Returns text and names, alternating, with fixed values joined to the text around them."""
    parts: list[bytes | SignaturePlaceholder] = []
    text = b""
    for index, piece in enumerate(split):
        if index % 2 == 0:
            text += piece.encode()
        elif piece in fixed:
            text += fixed[piece].encode()
        else:
            parts += [text, SignaturePlaceholder(piece)] if text else [SignaturePlaceholder(piece)]
            text = b""
    return [*parts, text] if text else parts


DEFAULT_HEADER = "X-Signature"


class Generic(shapes.UnixTimed):
    """The signer with one signature by the first secret, over the template's text, in any header.

    Raises ValueError, with a text for the operator, for invalid options.
    """

    def __init__(self, secrets: Sequence[str], options: Signature, method: str, path: str) -> None:
        self._key = shapes.keyed(
            shapes.signing_keys(secrets, "generic")[0], shapes.hash_name(options.algorithm)
        )
        self._template = SignedText(options.template, {"method": method, "path": path})
        self._header = options.header or DEFAULT_HEADER
        self._spell = spelling(options.encoding or "hex")
        check_prefix(options.prefix)
        self._prefix = options.prefix
        self._stamped = "{timestamp}" in options.prefix
        self._timestamp_header = options.timestamp_header
        self._id_header = options.id_header
        self._event_header = options.event_header

    def headers(self, body: bytes, webhook_id: str, stamp: str, event_type: str) -> list[tuple[str, str]]:
        """Returns the signature, then timestamp, id and type in their configured headers.

        The signature covers the values of these headers.
        """
        webhook_id, event_type = header_text(webhook_id), header_text(event_type)
        filled = {
            "body": body,
            "timestamp": stamp.encode(),
            "id": webhook_id.encode(),
            "event": event_type.encode(),
        }
        prefix = self._prefix.replace("{timestamp}", stamp) if self._stamped else self._prefix
        headers = [(self._header, prefix + self._spell(self._template.mac(self._key, filled)))]
        if self._timestamp_header:
            headers.append((self._timestamp_header, stamp))
        if self._id_header:
            headers.append((self._id_header, webhook_id))
        if self._event_header and event_type:
            headers.append((self._event_header, event_type))
        return headers


def check_prefix(prefix: str) -> None:
    """Raises ValueError for a prefix that is not valid at the beginning of a header's value."""
    if not prefix.isascii() or prefix.startswith((" ", "\t")):
        raise ValueError("the prefix must be ASCII text that does not begin with a space or tab")
    check_headers([("prefix", prefix)], ())


# The verifier that is fully defined by its options.


_STAMP = "{timestamp}"


class GenericCheck:
    """The verifier of one signature in one header, over the template's text; see the signer above.

    Raises ValueError for invalid options, such as a placeholder that no header fills.
    """

    def __init__(self, settings: Verifier, secrets: Sequence[bytes]) -> None:
        self._keys = shapes.keys_of(secrets, shapes.hash_name(settings.algorithm))
        self._name = settings.header or DEFAULT_HEADER
        self._decode = shapes.decoding(settings.encoding or "hex")
        self._template = SignedText(settings.template, {})
        self._tolerance = settings.tolerance
        check_prefix(settings.prefix)
        self._prefix = _prefix(settings.prefix)
        self._stamped = _STAMP in settings.prefix
        self._stamp_name = settings.timestamp_header
        sources = {
            "timestamp": settings.timestamp_header,
            "id": settings.id_header,
            "event": settings.event_header,
        }
        self._fills = {placeholder: name for placeholder, name in sources.items() if name}
        for placeholder in sorted(self._template.placeholders & sources.keys() - self._fills.keys()):
            if placeholder != "timestamp" or not self._stamped:
                raise ValueError(
                    f"the template has {{{placeholder}}}: set `{placeholder}_header` to the name of the header that has its value"
                )

    def __call__(self, request: shapes.SignedRequest, now: float) -> shapes.VerificationFailure | None:
        value = shapes.header(request, self._name)
        if isinstance(value, shapes.VerificationFailure):
            return value
        found = self._prefix.match(value)
        if not found:
            return shapes.VerificationFailure(f"the header {self._name} does not have the configured form")
        filled = self._filled(request, found.groupdict())
        if isinstance(filled, shapes.VerificationFailure):
            return filled
        given = self._decode(value[found.end() :])
        if given is None:
            return shapes.VerificationFailure(
                f"the header {self._name} has no signature in the configured encoding"
            )
        if not shapes.one_of([given], [self._template.mac(key, filled).digest() for key in self._keys]):
            return shapes.MISMATCH
        return self._age(filled, now)

    def _filled(
        self, request: shapes.SignedRequest, in_prefix: Mapping[str, str]
    ) -> dict[str, bytes] | shapes.VerificationFailure:
        filled = {
            "body": request.body,
            "method": shapes.octets(request.method),
            "path": shapes.octets(request.path),
        }
        filled |= {placeholder: shapes.octets(text) for placeholder, text in in_prefix.items()}
        for placeholder, name in self._fills.items():
            value = shapes.header(request, name)
            if isinstance(value, shapes.VerificationFailure):
                return value
            if filled.setdefault(placeholder, shapes.octets(value)) != shapes.octets(value):
                return shapes.VerificationFailure(
                    f"the headers {self._name} and {name} have different timestamps"
                )
        return filled

    def _age(self, filled: Mapping[str, bytes], now: float) -> shapes.VerificationFailure | None:
        if "timestamp" not in filled:
            return None
        at = shapes.moment(filled["timestamp"].decode("utf-8", "replace"))
        if at is None:
            return shapes.VerificationFailure("the timestamp has an unknown format")
        return shapes.stale(at, now, self._tolerance)


def _prefix(text: str) -> re.Pattern[str]:
    """Returns the pattern of the prefix; a timestamp in it becomes the group `timestamp`."""
    before, placeholder, after = text.partition(_STAMP)
    if not placeholder:
        return re.compile(re.escape(text))
    if not after or _STAMP in after:
        raise ValueError("a prefix may have {timestamp} only once, followed by other text")
    return re.compile(f"{re.escape(before)}(?P<timestamp>[0-9A-Za-z:.+-]{{1,40}}?){re.escape(after)}")
