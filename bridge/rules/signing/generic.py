"""The profile that is described in full by its options."""

from collections.abc import Sequence

from bridge.model.target import Signature
from bridge.rules.signing.digests import spelling
from bridge.rules.signing.keys import hash_name, keyed, signing_keys
from bridge.rules.signing.signed_text import SignedText
from bridge.rules.wire.headers import check_headers, header_text

DEFAULT_HEADER = "X-Signature"


class Generic:
    """One signature by the first secret, over whatever the template says, in any header.

    Raises ValueError, with a text for the operator, for options that cannot work.
    """

    def __init__(self, secrets: Sequence[str], options: Signature, method: str, path: str) -> None:
        self._key = keyed(signing_keys(secrets, "generic")[0], hash_name(options.algorithm))
        self._template = SignedText(options.template, {"method": method, "path": path})
        self._header = options.header or DEFAULT_HEADER
        self._spell = spelling(options.encoding or "hex")
        check_prefix(options.prefix)
        self._prefix = options.prefix
        self._stamped = "{timestamp}" in options.prefix
        self._timestamp_header = options.timestamp_header
        self._id_header = options.id_header
        self._event_header = options.event_header

    def stamp(self, now: float) -> str:
        """Unix seconds."""
        return str(int(now))

    def headers(self, body: bytes, webhook_id: str, stamp: str, event_type: str) -> list[tuple[str, str]]:
        """The signature, after it timestamp, id and type in the headers that were named for them.

        What is signed is what these headers say.
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
    """Raise a ValueError for a prefix that cannot stand at the beginning of a header's value."""
    if not prefix.isascii() or prefix.startswith((" ", "\t")):
        raise ValueError("the prefix is ASCII text that begins with no space")
    check_headers([("prefix", prefix)], ())
