"""A webhook's address and the part of its requests that never changes."""

import re
from base64 import b64encode
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from yarl import URL

from bridge import __version__
from bridge.model.target import Auth
from bridge.rules.wire.headers import check_headers

_NAME = re.compile(r"(?=.{1,253}\.?$)(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_NUMBER = re.compile(r"(0[xX][0-9A-Fa-f]*|[0-9]+)\.?")
_BLANK = re.compile(r"[\x00-\x20\x7f\\]")


def parse_url(text: str) -> URL:
    """The URL of a webhook: http or https, with a host, without fragment and user. Raises ValueError."""
    url = _http_url(text)
    if "#" in text:
        raise ValueError("a URL with a fragment (#...) cannot be requested; leave that part out")
    if url.raw_user is not None or url.raw_password is not None:
        raise ValueError(
            "user and password do not belong into the URL, which is shown; put them under `auth` with "
            "`type: basic`"
        )
    return url


def parse_proxy(text: str) -> URL:
    """The URL of a proxy: http or https, user and password allowed, nothing after the host. Raises ValueError."""
    url = _http_url(text)
    if url.raw_path_qs not in {"", "/"} or "#" in text:
        raise ValueError("a proxy has no path; write for example http://proxy.example.net:3128")
    return url


def static_head(
    method: str, url: URL, proxy: URL | None, auth: Auth | None, headers: Mapping[str, str]
) -> bytes:
    """Request line and header lines that are the same for every request, each with its line end.

    `headers` are the hook's own, checked by `check_headers` before; they replace ours.
    """
    through_proxy = proxy is not None and url.scheme == "http"
    fields = {"Host": url.host_port_subcomponent or "", "User-Agent": f"amqp-bridge/{__version__}"}
    fields |= {"Accept": "*/*", "Accept-Encoding": "identity"}
    if auth is not None:
        fields["Authorization"] = authorization(auth)
    if through_proxy and proxy is not None and proxy.user is not None:
        fields["Proxy-Authorization"] = _basic(proxy.user, proxy.password or "")
    given = {name.lower() for name in headers}
    lines = [f"{method} {url if through_proxy else url.raw_path_qs} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in fields.items() if name.lower() not in given]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "".join(line + "\r\n" for line in lines).encode()


def authorization(auth: Auth) -> str:
    """The value of the header `Authorization`. Raises ValueError when something is missing."""
    if auth.type == "bearer":
        token = auth.token.get_secret_value()
        if not token:
            raise ValueError("type bearer needs a `token`")
        value = f"Bearer {token}"
    else:
        if not auth.username:
            raise ValueError("type basic needs a `username`")
        if ":" in auth.username:
            raise ValueError("a user name for basic authentication cannot hold a colon")
        value = _basic(auth.username, auth.password.get_secret_value())
    try:
        check_headers([("Authorization", value)], ())
    except ValueError:
        raise ValueError(
            "the token holds a line break or another character that no header can hold"
        ) from None
    return value


def _basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode("utf-8", "surrogatepass")).decode()


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
            # inet_aton reads 127.1, 0x7f.1 and 2130706433 as addresses, and a proxy would too.
            raise ValueError(f"{host} is no IPv4 address; write four decimal numbers") from None
    elif not _NAME.fullmatch(host):
        raise ValueError(f"{host!r} is no host name")
