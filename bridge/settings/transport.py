"""The transport settings of broker and database: TLS and credentials."""

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, GetCoreSchemaHandler, SecretStr, model_validator
from pydantic_core import CoreSchema, core_schema

from bridge.core.base import StrictModel


class ServerTls(StrictModel):
    """The TLS options of a server's connections: how its certificate is verified, and which client certificate is presented.
    Files are read again for each connection.
    """

    ca: str | None = None
    """File with the certificates to trust, PEM; default: what the system trusts."""
    cert: str | None = None
    """File with the certificate to show to the server, PEM."""
    key: str | None = None
    """File with the private key of `cert`, PEM, without a passphrase; default: it stands in `cert`, too."""
    verify: bool = True
    """false: any certificate is taken, so anybody in between can read and change everything."""

    @model_validator(mode="after")
    def _key_and_certificate(self) -> "ServerTls":
        if self.key is not None and self.cert is None:
            raise ValueError("`key` needs `cert`")
        return self


BrokerAuth = Literal["plain", "external", "oauth2"]


class BrokerOAuth2(StrictModel):
    """The OAuth 2 client credentials with which a broker's access tokens are requested. A token takes the place of the
    password.
    """

    token_url: str = Field(min_length=1, max_length=2048)
    """Token endpoint, http:// or https://; it may have a private address."""
    client_id: str = Field(min_length=1, max_length=1000)
    """Client id."""
    client_secret: SecretStr = SecretStr("")
    """Client secret; empty where `tls.cert` says who asks."""
    scope: str = Field(default="", max_length=4096)
    """Scopes, separated by spaces; default: what the server grants by itself."""
    audience: str = Field(default="", max_length=1000)
    """Audience, where the server wants one; RabbitMQ compares it with its `resource_server_id`."""
    client_auth: Literal["basic", "body"] = "basic"
    """Where client id and secret stand: in the header `Authorization`, or in the form."""
    tls: ServerTls = ServerTls()
    """TLS to the token endpoint."""


class StorageTls(ServerTls):
    """TLS to PostgreSQL."""

    mode: Literal["auto", "require", "off"] = "auto"
    """auto: TLS where the server offers it, and required where `ca` or `cert` is set; require: TLS or no connection;
    off: no TLS. On a loopback address auto takes any certificate, unless `verify: true` is written. `sslmode` in
    `storage.url` decides instead, as libpq understands it."""


# The addresses: URLs that may contain a password, and `host:port` to listen on.


HIDDEN = "***"
_LOGIN = re.compile(r"^([^:/]+://[^:/?#@]*:).*@", re.DOTALL)
_AUTHORITY_LOGIN = re.compile(r"^([^:/]+://[^:/?#@]*:)[^/?#]*@")
_SECRET_QUERY = re.compile(r"([?&][^=&]*(?:pass|secret|token)[^=&]*=)[^&#]*", re.IGNORECASE)
_LISTEN = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.%\w]+)\]|(?P<host>[^:\s\[\]/]*)):(?P<port>\d{1,5})")
_ENCODE = "percent-encode the characters / ? # @ : % in user name and password"


class SecretUrl:
    """A URL that is shown, logged and dumped without its password.

    `get_secret_value()` returns the whole URL, as that of SecretStr does; `str()` returns it redacted.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def get_secret_value(self) -> str:
        return self._text

    def parts(self) -> SplitResult:
        """Returns the parts of the URL, password included."""
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
    # An unencoded / or # in a password ends the authority early: then everything up to the last @ is masked.
    hidden = (
        _AUTHORITY_LOGIN.sub(rf"\1{HIDDEN}@", text)
        if "@" in re.split(r"[/?#]", text.partition("://")[2], maxsplit=1)[0]
        else _LOGIN.sub(rf"\1{HIDDEN}@", text)
    )
    return _SECRET_QUERY.sub(rf"\1{HIDDEN}", hidden)


def broker_url(url: SecretUrl) -> SecretUrl:
    """Returns the URL if it can be that of a broker; else raises ValueError without the password."""
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
    """Returns the URL if it can be that of a management API; else raises ValueError without the password."""
    try:
        usable = _scheme(url) in {"http", "https"} and bool(url.parts().hostname)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("no address such as http://user:password@127.0.0.1:15672")
    return url


def collector_url(url: str) -> str:
    """Returns the URL of traces at a collector, with its path; raises ValueError for one that is none or has a password."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("no URL such as http://collector:4318")
    if "@" in parts.netloc:
        raise ValueError("a URL is shown; put credentials into the variable OTEL_EXPORTER_OTLP_HEADERS")
    return parts._replace(path="/v1/traces").geturl() if parts.path in {"", "/"} else url


def _scheme(url: SecretUrl) -> str:
    scheme, found, _ = url.get_secret_value().partition("://")
    if not found or not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme, re.IGNORECASE):
        raise ValueError("not an address such as scheme://user:password@host:port/path")
    return scheme.lower()


def host_and_port(listen: str) -> tuple[str | None, int]:
    """Returns host (None: every interface) and port (0: any free one) of `host:port`, `[::1]:port` or `:port`."""
    match = _LISTEN.fullmatch(listen.strip())
    if match is None or int(match["port"]) > 65_535:
        raise ValueError(
            f"{listen!r} is no address to listen on; write for example 127.0.0.1:8080 or [::1]:8080"
        )
    return match["v6"] or match["host"] or None, int(match["port"])


def listen_address(value: str) -> str:
    """Returns the text if it is a listen address; else raises ValueError."""
    host_and_port(value)
    return value.strip()


# The TLS contexts from the files in the settings.


def tls_context(tls: ServerTls, *, names: bool = True) -> ssl.SSLContext:
    """Returns a client's TLS context with these settings, from the present files; it must not be modified.

    `names` False: the certificate may be for any name, if a trusted authority issued it.

    Raises ValueError with the setting and the file that is invalid.
    """
    if tls.ca is None and tls.cert is None and tls.verify and names:
        return _trusting_the_system()
    with named(f"ca {tls.ca}"):
        context = ssl.create_default_context(cafile=tls.ca)
    if tls.cert is not None:
        load_certificate(context, "cert", tls.cert, tls.key)
    if not (tls.verify and names):
        context.check_hostname = False
    if not tls.verify:
        context.verify_mode = ssl.CERT_NONE
    return context


@cache
def _trusting_the_system() -> ssl.SSLContext:
    """Returns a shared context: loading the system's certificates takes 25 ms, and they are not replaced."""
    return ssl.create_default_context()


def load_certificate(context: ssl.SSLContext, setting: str, cert: str, key: str | None) -> None:
    """Loads a client certificate; raises ValueError with the setting and the files."""
    # OpenSSL does not report which of the two files is missing.
    with named(f"{setting} {cert}" + (f" with {key}" if key else "")):
        context.load_cert_chain(cert, key, password=no_password)


@contextmanager
def named(files: str) -> Iterator[None]:
    """Raises ValueError with this name of the files, if the block cannot use them."""
    try:
        yield
    except ssl.SSLError as error:
        raise ValueError(f"{files}: not usable PEM ({error.reason or error})") from error
    except OSError as error:
        raise ValueError(f"{files}: {error.strerror or error}") from error
    except ValueError as error:
        raise ValueError(f"{files}: {error}") from error


def no_password() -> str:
    """Raises ValueError; called for the passphrase of an encrypted key."""
    # Without this, OpenSSL would ask on the terminal and wait.
    raise ValueError("the private key is encrypted; give one without a passphrase")
