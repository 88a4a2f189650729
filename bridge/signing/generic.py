"""The signing profile that is fully defined by its options."""

import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from bridge.core.inlet import Verifier
from bridge.core.target import Signature
from bridge.signing import shapes
from bridge.signing.digests import spelling
from bridge.wire.headers import check_headers, header_text

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
