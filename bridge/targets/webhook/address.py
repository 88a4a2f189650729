"""The URL of a webhook, the constant part of its requests, and the validation of its settings."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple, assert_never
from urllib.parse import quote

from yarl import URL

from bridge import __version__
from bridge.bodies.builder import builder
from bridge.core.target import Auth, Signature, WebhookTarget
from bridge.signing.profiles import names, signer
from bridge.targets.webhook.pool import literal_refusal, tls_context
from bridge.wire.address_gate import AddressGate
from bridge.wire.headers import check_headers

_NAME = re.compile(r"(?=.{1,253}\.?$)(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_NUMBER = re.compile(r"(0[xX][0-9A-Fa-f]*|[0-9]+)\.?")
_BLANK = re.compile(r"[\x00-\x20\x7f\\]")
_PARTS = re.compile(r"[^:/?#]*://[^/?#]*(?P<target>[^#]*)")
TARGET = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")
"""The pattern of path and query (RFC 3986, sections 3.3 and 3.4)."""


class Endpoint(NamedTuple):
    """The parsed URL of requests: the host to connect to, and the request target.

    `target` is path and query byte for byte as configured: a signature in the URL, or a path with an escaped slash,
    would change if it were decoded, normalized and encoded again.
    """

    origin: URL
    target: str

    @property
    def host(self) -> str:
        """Returns the name or address for name resolution."""
        return self.origin.raw_host or ""

    @property
    def authority(self) -> str:
        """Returns the host, and the port unless it is the scheme's default."""
        return self.origin.host_port_subcomponent or ""

    @property
    def path(self) -> str:
        """Returns the target without its query."""
        return self.target.partition("?")[0]

    def __str__(self) -> str:
        return f"{self.origin.scheme}://{self.authority}{self.target}"


def parse_url(text: str) -> Endpoint:
    """Returns the URL of a webhook: http(s), with a host, without fragment and user. Raises ValueError."""
    url = _http_url(text)
    if "#" in text:
        raise ValueError("a URL with a fragment (#...) cannot be requested; leave that part out")
    if url.raw_user is not None or url.raw_password is not None:
        raise ValueError(
            "user and password do not belong in the URL, which is shown; put them into fields of `auth`"
        )
    return Endpoint(url.origin(), _target(text))


def parse_proxy(text: str) -> URL:
    """Returns the URL of a proxy: http(s), user and password allowed, no path. Raises ValueError."""
    url = _http_url(text)
    if url.raw_path_qs not in {"", "/"} or "#" in text:
        raise ValueError("a proxy has no path; write for example http://proxy.example.net:3128")
    return url


def static_head(
    method: str,
    endpoint: Endpoint,
    proxy: URL | None,
    authorization: str | None,
    headers: Mapping[str, str],
) -> bytes:
    """Returns the request line and the header lines that are the same for every request, with line ends.

    `authorization` is the value of that header, if any. `headers` are the hook's, checked by `check_headers` before;
    they replace the defaults.
    """
    through_proxy = proxy is not None and endpoint.origin.scheme == "http"
    fields = {"Host": endpoint.authority, "User-Agent": f"amqp-bridge/{__version__}"}
    fields |= {"Accept": "*/*", "Accept-Encoding": "identity"}
    if authorization is not None:
        fields["Authorization"] = authorization
    if through_proxy and proxy is not None and proxy.user is not None:
        fields["Proxy-Authorization"] = basic(proxy.user, proxy.password or "")
    given = {name.lower() for name in headers}
    lines = [f"{method} {endpoint if through_proxy else endpoint.target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in fields.items() if name.lower() not in given]
    lines += [f"{name}: {value.strip()}" for name, value in headers.items()]
    return "".join(line + "\r\n" for line in lines).encode()


def basic(user: str, password: str) -> str:
    """Returns the header value of basic authentication (RFC 7617)."""
    return "Basic " + b64encode(f"{user}:{password}".encode("utf-8", "surrogatepass")).decode()


def _target(text: str) -> str:
    parts = _PARTS.match(text)
    target = parts["target"] if parts else ""
    allowed = TARGET.match(target)
    if allowed is not None and allowed.end() < len(target):
        wrong = target[allowed.end()]
        if wrong == "%":
            raise ValueError("a % in a URL begins an escape of two hexadecimal digits; write %25 for itself")
        escaped = quote(wrong.encode("utf-8", "surrogatepass"), safe="")
        raise ValueError(f"{wrong!r} cannot stand in a URL as it is; write {escaped}")
    return target if target.startswith("/") else f"/{target}"


def _http_url(text: str) -> URL:
    if _BLANK.search(text):
        raise ValueError("a URL holds no spaces, line breaks or backslashes; percent-encode them")
    try:
        url = URL(text)
        port = url.port
    except ValueError as error:
        raise ValueError(f"not a URL: {error}") from None
    if url.scheme not in {"http", "https"}:
        raise ValueError("only http:// and https:// URLs can be requested")
    if not url.raw_host or not port:
        raise ValueError("the URL names no host, or port 0; write for example https://example.net/in")
    _check_host(url.raw_host)
    return url


def _check_host(host: str) -> None:
    if ":" in host:
        try:
            IPv6Address(host.partition("%")[0])
        except AddressValueError:
            raise ValueError(f"{host} is no IPv6 address") from None
        return
    last = host.rstrip(".").rpartition(".")[2]
    if _NUMBER.fullmatch(last):
        try:
            IPv4Address(host)
        except AddressValueError:
            # inet_aton parses 127.1, 0x7f.1 and 2130706433 as addresses, and so would a proxy.
            raise ValueError(f"{host} is no IPv4 address; write four decimal numbers") from None
    elif not _NAME.fullmatch(host):
        raise ValueError(f"{host!r} is no host name")


# The header `Authorization`, and the validation of its settings.


def authorization(auth: Auth) -> str | None:
    """Returns the value of the header `Authorization`; None for oauth2, whose token changes.

    Raises ValueError if a setting is missing.
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
    """Returns a check for each field, which raises ValueError if the field is invalid."""
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


# Validation of webhook settings, without network access.


Check = tuple[str, Callable[[], object]]
"""A setting's path, and a function that raises ValueError if the setting is invalid."""


def webhook_checks(settings: WebhookTarget) -> Iterator[Check]:
    """Yield the checks for permanent errors; paths start at `target`."""
    yield "target.url", lambda: parse_url(settings.url)
    yield "target.proxy", lambda: settings.proxy is not None and parse_proxy(settings.proxy)
    yield from _signing(settings)
    made_by = "target.body" if settings.template is None else "target.template"
    yield made_by, lambda: builder(settings.body, settings.profile, hook="", template=settings.template)
    yield "target.headers", lambda: check_own_headers(settings)
    if settings.auth is not None:
        for field, check in auth_checks(settings.auth).items():
            yield f"target.auth.{field}", check
    yield "target.tls", lambda: tls_context(settings.tls)
    yield "target.success", lambda: check_success(settings)


def address_checks(settings: WebhookTarget, gate: AddressGate) -> Iterator[Check]:
    """Yield the SSRF checks of addresses in valid URLs that neither `gate` nor the hook's own allowlist admits."""
    gate = gate.also(settings.allow_private_targets)
    yield "target.url", partial(_check_address, settings.url, gate)
    if settings.proxy is not None:
        yield "target.proxy", partial(_check_address, settings.proxy, gate)
    if settings.auth is not None and settings.auth.type == "oauth2":
        yield "target.auth.token_url", partial(_check_address, settings.auth.token_url, gate)


def check_own_headers(settings: WebhookTarget) -> None:
    """Raises ValueError for headers of the hook that are invalid or belong to the profile or `auth`."""
    reserved = names(settings.profile, settings.signature, secrets=bool(settings.secrets))
    if settings.auth:
        reserved |= {"authorization"}
    check_headers(((name, value.strip()) for name, value in settings.headers.items()), reserved)


def check_success(settings: WebhookTarget) -> None:
    """Raises ValueError if no response could be a success."""
    if settings.success is not None and not any(200 <= code <= 599 for code in settings.success):
        raise ValueError("no status code from 200 to 599, so nothing could ever be delivered")


def _signing(settings: WebhookTarget) -> Iterator[Check]:
    """Yield a check of each option by itself, so that the invalid one is named, then of all together."""
    options, fields = settings.signature, Signature.model_fields
    chosen = [name for name, field in fields.items() if getattr(options, name) != field.default]
    alone = {name: Signature().model_copy(update={name: getattr(options, name)}) for name in chosen}
    yield "target.secrets", lambda: _check_secrets(settings)
    for name, option in alone.items():
        yield f"target.signature.{name}", partial(_check_options, settings, option)
    if all(_work(settings, option) for option in alone.values()):
        yield "target.signature", lambda: _check_options(settings, options)


def _check_secrets(settings: WebhookTarget) -> None:
    secrets = [secret.get_secret_value() for secret in settings.secrets]
    signer(settings.profile, secrets, Signature())
    taken = names(settings.profile, Signature(), secrets=bool(secrets))
    if settings.auth is not None and "authorization" in taken:
        raise ValueError("the secret and `auth` both make the header Authorization: give one of them")


def _check_options(settings: WebhookTarget, options: Signature) -> None:
    """Check the options with a secret that every profile accepts, so that errors are about the options alone."""
    if options == Signature():
        return
    signer(settings.profile, ["secret"], options)
    if settings.auth is not None and "authorization" in names(settings.profile, options):
        raise ValueError("the signature and `auth` cannot both be the header Authorization")


def _work(settings: WebhookTarget, options: Signature) -> bool:
    try:
        _check_options(settings, options)
    except ValueError:
        return False
    return True


def _check_address(text: str, gate: AddressGate) -> None:
    if reason := literal_refusal(gate, URL(text).raw_host or ""):
        raise ValueError(f"{reason}; add its network there if that is where it shall go")
