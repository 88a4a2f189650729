"""Profiles without a signature: the request carries the secret itself, so the body is not protected."""

import base64
from base64 import b64encode
from collections.abc import Sequence

from bridge.signing.shapes import (
    SignedRequest,
    Untimed,
    VerificationFailure,
    header,
    octets,
    one_of,
    text_keys,
)
from bridge.signing.standard import StandardCheck


class Cockpit(Untimed):
    """HTTP basic authentication with the first secret, `user:password`; without a secret no header.

    The first colon ends the user name: a password may contain colons and any character (in UTF-8, RFC 7617). Source:
    Cockpit v1, module `Webhooks`.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._fields = [basic_field(key) for key in text_keys(secrets)][:1]

    def headers(self, _body: bytes, _id: str, _stamp: str, _type: str) -> list[tuple[str, str]]:
        """Returns `Authorization`, if there is a secret."""
        return self._fields.copy()


def basic_field(credentials: bytes) -> tuple[str, str]:
    """Returns the header of `user:password`. Raises ValueError if either is missing."""
    user, _, password = credentials.partition(b":")
    if not user or not password:
        raise ValueError("a secret of profile cockpit is written `user:password`, and both have to be there")
    return "Authorization", "Basic " + b64encode(credentials).decode()


# Verifiers of requests that carry the secret itself; they do not protect the body.


class HeaderToken:
    """A header with one of the secrets, after an optional prefix such as `Bearer `."""

    def __init__(self, name: str, secrets: Sequence[bytes], prefix: str = "") -> None:
        self._name = name
        # HTTP strips trailing blanks of a header's value; a blank at the end of a secret comes from its file or
        # variable.
        self._right = [octets(prefix) + secret.strip() for secret in secrets]

    def __call__(self, request: SignedRequest, _now: float) -> VerificationFailure | None:
        value = header(request, self._name)
        if isinstance(value, VerificationFailure):
            return value
        wrong = VerificationFailure(f"the header {self._name} holds another token")
        return None if one_of([octets(value)], self._right) else wrong


class Basic:
    """HTTP basic authentication, RFC 7617; accepts names and passwords in UTF-8 and in Latin-1."""

    def __init__(self, name: str, credentials: Sequence[str]) -> None:
        """Prepare the verifier; each of `credentials` is `user:password`."""
        self._name = name
        self._right = text_keys(credentials)
        self._right += [_latin1(text) for text in credentials]

    def __call__(self, request: SignedRequest, _now: float) -> VerificationFailure | None:
        value = header(request, self._name)
        if isinstance(value, VerificationFailure):
            return value
        scheme, _, text = value.partition(" ")
        if scheme.lower() != "basic":
            return VerificationFailure(f"the header {self._name} is not of the scheme Basic")
        given = _decoded(text.strip())
        if given is None:
            return VerificationFailure(f"the header {self._name} holds no base64")
        return (
            None
            if one_of([given], self._right)
            else VerificationFailure("the user name or the password is wrong")
        )


def _decoded(text: str) -> bytes | None:
    """Returns the decoded base64, which must be canonical except for missing padding, which some senders omit."""
    try:
        found = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return None
    return found if base64.b64encode(found).decode().rstrip("=") == text.rstrip("=") else None


def _latin1(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()


def credentials_of(secrets: Sequence[str], username: str | None, user: str | None) -> list[str]:
    """Returns the accepted credentials, each as `user:password`.

    With `username` a secret is the password. Without it a secret may be `user:password`, or the password of `user`.
    Raises ValueError if no user name is given.
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
    """GitLab's two methods: `X-Gitlab-Token` with a secret token, and signatures with a signing token.

    A signing token begins with `whsec_` and signs as Standard Webhooks does. If a request has such a signature, only
    the signature counts: a valid token does not make up for an invalid signature. Source: GitLab's documentation of
    webhooks, "Signing token" and "Secret token".
    """

    def __init__(self, secrets: Sequence[str], tolerance: float, name: str = "X-Gitlab-Token") -> None:
        signing = [secret for secret in secrets if secret.strip().startswith("whsec_")]
        tokens = text_keys((secret for secret in secrets if secret not in signing), empty=True)
        self._signed = StandardCheck(signing, tolerance) if signing else None
        self._token = HeaderToken(name, tokens) if tokens else None

    def __call__(self, request: SignedRequest, now: float) -> VerificationFailure | None:
        if self._signed and ("webhook-signature" in request.headers or not self._token):
            return self._signed(request, now)
        assert self._token is not None
        return self._token(request, now)
