"""Addresses as people write them: URLs that may carry a password, and `host:port` to listen on."""

import re
from typing import Any
from urllib.parse import SplitResult, urlsplit

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

HIDDEN = "***"
_LOGIN = re.compile(r"^([^:/]+://[^:/?#@]*:).*@", re.DOTALL)
_AUTHORITY_LOGIN = re.compile(r"^([^:/]+://[^:/?#@]*:)[^/?#]*@")
_SECRET_QUERY = re.compile(r"([?&][^=&]*(?:pass|secret|token)[^=&]*=)[^&#]*", re.IGNORECASE)
_LISTEN = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.%\w]+)\]|(?P<host>[^:\s\[\]/]*)):(?P<port>\d{1,5})")
_ENCODE = "percent-encode the characters / ? # @ : % in user name and password"


class SecretUrl:
    """A URL that is shown, logged and dumped without its password.

    `get_secret_value()` gives it whole, as SecretStr does; `str()` gives it redacted.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def get_secret_value(self) -> str:
        return self._text

    def parts(self) -> SplitResult:
        """The URL taken apart, password included."""
        return urlsplit(self._text)

    def __str__(self) -> str:
        return _redacted(self._text)

    def __repr__(self) -> str:
        return f"SecretUrl({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretUrl) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.str_schema(min_length=1, strip_whitespace=True)
        return core_schema.no_info_before_validator_function(
            _whole_text,
            core_schema.no_info_after_validator_function(cls, text),
            serialization=core_schema.to_string_ser_schema(when_used="always"),
        )


def _whole_text(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretUrl) else value


def _redacted(text: str) -> str:
    # An unencoded / or # in a password ends the authority early: then everything up to the last @ is hidden.
    hidden = (
        _AUTHORITY_LOGIN.sub(rf"\1{HIDDEN}@", text)
        if "@" in _authority(text)
        else _LOGIN.sub(rf"\1{HIDDEN}@", text)
    )
    return _SECRET_QUERY.sub(rf"\1{HIDDEN}", hidden)


def _authority(text: str) -> str:
    return re.split(r"[/?#]", text.partition("://")[2], maxsplit=1)[0]


def broker_url(url: SecretUrl) -> SecretUrl:
    """The URL as it is, where it can be one of a broker; raises ValueError without telling the password."""
    scheme = _scheme(url)
    if scheme not in {"amqp", "amqps"}:
        raise ValueError(f"a broker's address begins with amqp:// or amqps://, not with {scheme}://")
    try:
        parts = url.parts()
        reachable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        reachable = False
    if not reachable or "@" in parts.path + parts.query + parts.fragment:
        raise ValueError(f"no valid host and port in the address; {_ENCODE}")
    return url


def management_url(url: SecretUrl) -> SecretUrl:
    """The URL as it is, where it can be one of a management API; raises ValueError without telling the password."""
    try:
        usable = _scheme(url) in {"http", "https"} and bool(url.parts().hostname)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("no address such as http://user:password@127.0.0.1:15672")
    return url


def _scheme(url: SecretUrl) -> str:
    scheme, found, _ = url.get_secret_value().partition("://")
    if not found or not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme, re.IGNORECASE):
        raise ValueError("not an address such as scheme://user:password@host:port/path")
    return scheme.lower()


def host_and_port(listen: str) -> tuple[str | None, int]:
    """Host (None: every interface) and port (0: any free one) of `host:port`, `[::1]:port` or `:port`."""
    match = _LISTEN.fullmatch(listen.strip())
    if match is None or int(match["port"]) > 65_535:
        raise ValueError(
            f"{listen!r} is no address to listen on; write for example 127.0.0.1:8080 or [::1]:8080"
        )
    return match["v6"] or match["host"] or None, int(match["port"])


def listen_address(value: str) -> str:
    """The text as it is, where it can be listened on; else ValueError."""
    host_and_port(value)
    return value.strip()
