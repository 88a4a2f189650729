"""A webhook's address and the part of its requests that never changes."""

import re
from base64 import b64encode
from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple
from urllib.parse import quote

from yarl import URL

from bridge import __version__

_NAME = re.compile(r"(?=.{1,253}\.?$)(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_NUMBER = re.compile(r"(0[xX][0-9A-Fa-f]*|[0-9]+)\.?")
_BLANK = re.compile(r"[\x00-\x20\x7f\\]")
_PARTS = re.compile(r"[^:/?#]*://[^/?#]*(?P<target>[^#]*)")
TARGET = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")
"""Of path and query (RFC 3986, sections 3.3 and 3.4)."""


class Endpoint(NamedTuple):
    """The URL of requests: whom to dial, and what to ask for there.

    `target` is path and query byte for byte as they were written: a signature in the URL, or a path that holds an
    escaped slash, means nothing else. An URL object would decode, sort out and encode again.
    """

    origin: URL
    target: str

    @property
    def host(self) -> str:
        """Name or address, as it is looked up."""
        return self.origin.raw_host or ""

    @property
    def authority(self) -> str:
        """Host, and port where it is not the scheme's own."""
        return self.origin.host_port_subcomponent or ""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def __str__(self) -> str:
        return f"{self.origin.scheme}://{self.authority}{self.target}"


def parse_url(text: str) -> Endpoint:
    """The URL of a webhook: http or https, with a host, without fragment and user. Raises ValueError."""
    url = _http_url(text)
    if "#" in text:
        raise ValueError("a URL with a fragment (#...) cannot be requested; leave that part out")
    if url.raw_user is not None or url.raw_password is not None:
        raise ValueError(
            "user and password do not belong in the URL, which is shown; put them into fields of `auth`"
        )
    return Endpoint(url.origin(), _target(text))


def parse_proxy(text: str) -> URL:
    """The URL of a proxy: http or https, user and password allowed, nothing after the host. Raises ValueError."""
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
    """Request line and header lines that are the same for every request, each with its line end.

    `authorization` is the value of that header, if there is one. `headers` are the hook's own, checked by
    `check_headers` before; they replace ours.
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
    """Basic authentication (RFC 7617) as the value of a header."""
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
            # inet_aton reads 127.1, 0x7f.1 and 2130706433 as addresses, and a proxy would too.
            raise ValueError(f"{host} is no IPv4 address; write four decimal numbers") from None
    elif not _NAME.fullmatch(host):
        raise ValueError(f"{host!r} is no host name")
