"""Profiles that prove nothing about the body: the request holds the secret itself."""

import base64
from base64 import b64encode
from collections.abc import Sequence

from bridge.signing.digests import Untimed
from bridge.signing.shapes import Refused, SignedRequest, header, octets, one_of, text_keys
from bridge.signing.standard import StandardCheck


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


# Verifiers of requests that hold the secret itself; the body is not protected by any of them.


class Token:
    """A header that holds one of the secrets, after a prefix such as `Bearer ` where there is one."""

    def __init__(self, name: str, secrets: Sequence[bytes], prefix: str = "") -> None:
        self._name = name
        # No header's value ends in a blank: one that the secret has comes from its file or variable.
        self._right = [octets(prefix) + secret.strip() for secret in secrets]

    def __call__(self, request: SignedRequest, now: float) -> Refused | None:
        """As `Verify`."""
        del now
        value = header(request, self._name)
        if isinstance(value, Refused):
            return value
        wrong = Refused(f"the header {self._name} holds another token")
        return None if one_of([octets(value)], self._right) else wrong


class Basic:
    """HTTP basic authentication, RFC 7617; senders write names and passwords in UTF-8 or in Latin-1."""

    def __init__(self, name: str, credentials: Sequence[str]) -> None:
        """`credentials`: each `user:password`."""
        self._name = name
        self._right = text_keys(credentials)
        self._right += [_latin1(text) for text in credentials]

    def __call__(self, request: SignedRequest, now: float) -> Refused | None:
        """As `Verify`."""
        del now
        value = header(request, self._name)
        if isinstance(value, Refused):
            return value
        scheme, _, text = value.partition(" ")
        if scheme.lower() != "basic":
            return Refused(f"the header {self._name} is not of the scheme Basic")
        given = _decoded(text.strip())
        if given is None:
            return Refused(f"the header {self._name} holds no base64")
        return None if one_of([given], self._right) else Refused("the user name or the password is wrong")


def _decoded(text: str) -> bytes | None:
    """The bytes of base64, which has one spelling; some senders leave out its padding."""
    try:
        found = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return None
    return found if base64.b64encode(found).decode().rstrip("=") == text.rstrip("=") else None


def _latin1(text: str) -> bytes:
    """Latin-1 where it can say this, else UTF-8 as before."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()


def credentials_of(secrets: Sequence[str], username: str | None, user: str | None) -> list[str]:
    """Each `user:password` that is taken.

    With `username` a secret is the password. Without it a secret may be `user:password` in one, and it may be the
    password of `user`. Raises ValueError when a secret tells no name and nothing else does.
    """
    if username is not None and ":" in username:
        raise ValueError("a user name for basic authentication cannot hold a colon")
    if username:
        return [f"{username}:{secret}" for secret in secrets]
    whole = [secret for secret in secrets if ":" in secret]
    if user and ":" not in user:
        whole += [f"{user}:{secret}" for secret in secrets]
    elif len(whole) < len(secrets):
        raise ValueError("give `username`, or write the secret as `user:password`")
    return whole


class GitLab:
    """Both of GitLab's proofs: `X-Gitlab-Token` with a secret token, and signatures with a signing token.

    A signing token begins with `whsec_` and signs as Standard Webhooks does. A request that carries such a
    signature is judged by it alone: a good token beside a bad signature does not help. Source: GitLab's
    documentation of webhooks, "Signing token" and "Secret token".
    """

    def __init__(self, secrets: Sequence[str], tolerance: float, name: str = "X-Gitlab-Token") -> None:
        signing = [secret for secret in secrets if secret.strip().startswith("whsec_")]
        tokens = text_keys((secret for secret in secrets if secret not in signing), empty=True)
        self._signed = StandardCheck(signing, tolerance) if signing else None
        self._token = Token(name, tokens) if tokens else None

    def __call__(self, request: SignedRequest, now: float) -> Refused | None:
        """As `Verify`."""
        if self._signed and ("webhook-signature" in request.headers or not self._token):
            return self._signed(request, now)
        assert self._token is not None
        return self._token(request, now)
