"""The verifier that is described in full by its options."""

import re
from collections.abc import Mapping, Sequence

from bridge.model.inlet import Verifier
from bridge.rules.signing.generic import DEFAULT_HEADER, check_prefix
from bridge.rules.signing.keys import hash_name
from bridge.rules.signing.reading import MISMATCH, decoding, header, keys_of, moment, octets, one_of, stale
from bridge.rules.signing.shapes import Refused, SignedRequest
from bridge.rules.signing.signed_text import SignedText

_STAMP = "{timestamp}"


class Generic:
    """One signature in one header, over what the template says; see bridge.rules.signing.generic.

    Raises ValueError for options that cannot work, such as a hole that no header fills.
    """

    def __init__(self, settings: Verifier, secrets: Sequence[bytes]) -> None:
        self._keys = keys_of(secrets, hash_name(settings.algorithm))
        self._name = settings.header or DEFAULT_HEADER
        self._decode = decoding(settings.encoding or "hex")
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
        self._fills = {hole: name for hole, name in sources.items() if name}
        for hole in sorted(self._template.holes & sources.keys() - self._fills.keys()):
            if hole != "timestamp" or not self._stamped:
                raise ValueError(
                    f"the template has {{{hole}}}: name the header it stands in under `{hole}_header`"
                )

    def __call__(self, request: SignedRequest, now: float) -> Refused | None:
        """As `Verify`."""
        value = header(request, self._name)
        if isinstance(value, Refused):
            return value
        found = self._prefix.match(value)
        if not found:
            return Refused(f"the header {self._name} is not of the form that was agreed on")
        filled = self._filled(request, found.groupdict())
        if isinstance(filled, Refused):
            return filled
        given = self._decode(value[found.end() :])
        if given is None:
            return Refused(f"the header {self._name} holds no signature that can be read")
        if not one_of([given], [self._template.mac(key, filled).digest() for key in self._keys]):
            return MISMATCH
        return self._age(filled, now)

    def _filled(self, request: SignedRequest, in_prefix: Mapping[str, str]) -> dict[str, bytes] | Refused:
        filled = {"body": request.body, "method": octets(request.method), "path": octets(request.path)}
        filled |= {hole: octets(text) for hole, text in in_prefix.items()}
        for hole, name in self._fills.items():
            value = header(request, name)
            if isinstance(value, Refused):
                return value
            if filled.setdefault(hole, octets(value)) != octets(value):
                return Refused(f"the headers {self._name} and {name} tell different timestamps")
        return filled

    def _age(self, filled: Mapping[str, bytes], now: float) -> Refused | None:
        if "timestamp" not in filled:
            return None
        at = moment(filled["timestamp"].decode("utf-8", "replace"))
        if at is None:
            return Refused("the timestamp is in no known form")
        return stale(at, now, self._tolerance)


def _prefix(text: str) -> re.Pattern[str]:
    """What a header's value begins with; a timestamp in it becomes the group `timestamp`."""
    before, hole, after = text.partition(_STAMP)
    if not hole:
        return re.compile(re.escape(text))
    if not after or _STAMP in after:
        raise ValueError("a prefix with {timestamp} has it once, and something after it")
    return re.compile(f"{re.escape(before)}(?P<timestamp>[0-9A-Za-z:.+-]{{1,40}}?){re.escape(after)}")
