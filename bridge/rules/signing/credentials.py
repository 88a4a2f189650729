"""Profiles that prove nothing about the body: the request holds the secret itself."""

from base64 import b64encode
from collections.abc import Sequence

from bridge.rules.signing.digests import Untimed
from bridge.rules.signing.keys import text_keys


class Cockpit(Untimed):
    """HTTP basic authentication by the first secret, `user:password`; without one no header at all.

    Only the first colon parts the two: a password may hold more, and any character (in UTF-8, as RFC 7617 has
    it). Source: Cockpit v1, module `Webhooks`.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._fields = [basic_field(key) for key in text_keys(secrets)][:1]

    def headers(self, body: bytes, webhook_id: str, stamp: str, event_type: str) -> list[tuple[str, str]]:
        """`Authorization`, where there is a secret."""
        del body, webhook_id, stamp, event_type
        return self._fields.copy()


def basic_field(credentials: bytes) -> tuple[str, str]:
    """The header of `user:password`. Raises ValueError when one of the two is missing."""
    user, _, password = credentials.partition(b":")
    if not user or not password:
        raise ValueError("a secret of profile cockpit is written `user:password`, and both have to be there")
    return "Authorization", "Basic " + b64encode(credentials).decode()
