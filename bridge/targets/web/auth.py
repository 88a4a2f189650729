"""Who the bridge says it is: the header `Authorization`, and what can be wrong with the settings for it."""

from collections.abc import Callable
from typing import assert_never

from bridge.model.target import Auth
from bridge.rules.wire.headers import check_headers
from bridge.targets.web.endpoint import basic, parse_url


def authorization(auth: Auth) -> str | None:
    """The value of the header `Authorization`; None for oauth2, whose token changes.

    Raises ValueError when something is missing.
    """
    match auth.type:
        case "bearer":
            return _bearer(auth.token.get_secret_value())
        case "basic":
            return _basic(auth.username, auth.password.get_secret_value())
        case "oauth2":
            return None
        case _:
            assert_never(auth.type)


def auth_checks(auth: Auth) -> dict[str, Callable[[], object]]:
    """By the name of a field, a call that raises a ValueError when it is wrong."""
    match auth.type:
        case "basic":
            return {"username": lambda: authorization(auth)}
        case "bearer":
            return {"token": lambda: authorization(auth)}
        case "oauth2":
            return {
                "token_url": lambda: _needed("token_url", auth.token_url) and parse_url(auth.token_url),
                "client_id": lambda: _needed("client_id", auth.client_id),
                "client_secret": lambda: _needed("client_secret", auth.client_secret.get_secret_value()),
                "scope": lambda: _text(auth.scope),
                "audience": lambda: _text(auth.audience),
            }
        case _:
            assert_never(auth.type)


def _bearer(token: str) -> str:
    token = token.strip()
    if not token:
        raise ValueError("type bearer needs a `token`")
    value = f"Bearer {token}"
    try:
        check_headers([("Authorization", value)], ())
    except ValueError:
        raise ValueError(
            "the token holds a line break or another character that no header can hold"
        ) from None
    return value


def _basic(user: str, password: str) -> str:
    if not user:
        raise ValueError("type basic needs a `username`")
    if ":" in user:
        raise ValueError("a user name for basic authentication cannot hold a colon")
    return basic(user, password)


def _needed(name: str, text: str) -> str:
    if not text.strip():
        raise ValueError(f"type oauth2 needs a `{name}`")
    return _text(text)


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("no valid Unicode text") from None
    return text
