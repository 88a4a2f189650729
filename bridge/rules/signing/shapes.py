"""What signers and verifiers have in common: the request that is signed, and the two ports."""

from collections.abc import Mapping
from typing import Protocol

from bridge.model.value import value


@value(frozen=True, slots=True)
class SignedRequest:
    """A request as a verifier sees it.

    Names of `headers` are in lower case; `path` is without the query, percent-encoded as it was sent.
    """

    body: bytes
    headers: Mapping[str, str]
    method: str = "POST"
    path: str = "/"


@value(frozen=True, slots=True)
class Refused:
    """Why a request does not verify, in words for its sender; never holds a secret or the right signature."""

    reason: str


class Signer(Protocol):
    """Makes the headers of one request."""

    def stamp(self, now: float) -> str:
        """The timestamp as this scheme writes it, of Unix seconds; empty where it has none."""
        ...

    def headers(self, body: bytes, webhook_id: str, stamp: str, event_type: str) -> list[tuple[str, str]]:
        """Names and values for exactly these body bytes.

        `stamp` is the attempt's, a text without line breaks; an empty `event_type` is one that is not known.
        """
        ...


class Verify(Protocol):
    """One verifier, ready for requests."""

    def __call__(self, request: SignedRequest, now: float) -> Refused | None:
        """None when the request proves to come from a holder of the secret; `now` in Unix seconds."""
        ...
