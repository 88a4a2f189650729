"""The API client of the command line: address, token, requests, and errors with advice."""

import os
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlsplit

from bridge.bodies.exact import json_text
from bridge.formats.parse import parse
from bridge.terminal.output import FAILED, USAGE, Failure, usage
from bridge.terminal.paper import visible

if TYPE_CHECKING:
    # Imported with the first request: its import takes longer than everything else that help needs.
    import httpx

# Address and token.


USUAL_URL = "http://127.0.0.1:8080"
_API = re.compile(r"(/api(/v1)?)?/*$")
_EVERY_ADDRESS = {None: "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - told apart, not listened on


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """Connection options; None: not given."""

    url: str | None = None
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    ca_file: Path | None = None
    config: Path | None = None


@dataclass(frozen=True, slots=True)
class ApiConnection:
    """The base URL of the bridge, without a trailing slash, and the token with its origin."""

    url: str
    token: str | None = field(default=None, repr=False)
    token_from: str = ""
    ca_file: Path | None = None


def access(given: ConnectionOptions, env: Mapping[str, str] = os.environ) -> ApiConnection:
    """Resolves the connection: options, then the configuration file, then BRIDGE_URL, BRIDGE_TOKEN, BRIDGE_ADMIN_TOKEN.

    Raises SettingsError for an invalid address and for files that cannot be read.
    """
    url, token = (None, None) if given.config is None else _configured(given.config, env, given.url is None)
    address = given.url or url or env.get("BRIDGE_URL") or USUAL_URL
    ca_file = given.ca_file or (Path(name) if (name := env.get("BRIDGE_CA_FILE")) else None)
    return ApiConnection(
        normal(address, "--url" if given.url else "BRIDGE_URL"), *_token(given, token, env), ca_file
    )


def normal(url: str, where: str = "--url") -> str:
    """Returns the URL without a trailing slash and without /api/v1; the default scheme is http."""
    whole = url.strip() if "://" in url else f"http://{url.strip()}"
    try:
        parts = urlsplit(whole)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise usage(where, f"{url!r} is no address such as {USUAL_URL} or https://bridge.example.net")
    if parts.username is not None or parts.query or parts.fragment:
        raise usage(where, "an address has no login, query or fragment; give the token with BRIDGE_TOKEN")
    return f"{parts.scheme}://{parts.netloc}{_API.sub('', parts.path)}"


def _token(
    given: ConnectionOptions, configured: str | None, env: Mapping[str, str]
) -> tuple[str | None, str]:
    if given.token is not None:
        return given.token.strip(), "--token"
    if given.token_file is not None:
        return _content(given.token_file), f"--token-file {given.token_file}"
    if configured is not None:
        return configured.strip(), f"http.admin_token of {given.config}"
    for name in ("BRIDGE_TOKEN", "BRIDGE_ADMIN_TOKEN"):
        if token := env.get(name, "").strip():
            return token, name
    return None, ""


def _content(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError as error:
        raise usage("--token-file", f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise usage("--token-file", f"{path} is no UTF-8 text") from None


def _configured(file: Path, env: Mapping[str, str], needs_url: bool) -> tuple[str | None, str | None]:
    from bridge.settings.loading import load_with_places

    http = load_with_places(file, env, sections={"http"}).sound().http
    token = None if http.admin_token is None else http.admin_token.get_secret_value()
    return (listening(http.admin_listen or http.listen) if needs_url else None), token


def listening(listen: str) -> str:
    """Returns the local URL of a listen address. Raises SettingsError for port 0."""
    from bridge.settings.transport import host_and_port

    host, port = host_and_port(listen)
    if port == 0:
        raise usage("--config", f"the bridge listens on any free port ({listen}): say which with --url")
    here = _EVERY_ADDRESS.get(host, host)
    return f"http://[{here}]:{port}" if ":" in str(here) else f"http://{here}:{port}"


# Error messages: what failed, where, and what to do.


_TYPED = frozenset({400, 405, 413, 415, 422})
"""Statuses that mean wrong usage (exit code 2); all others mean failure (exit code 1)."""
_LONGEST = 500
_LISTS = {
    "hooks": "hooks list",
    "deliveries": "deliveries list",
    "events": "events list",
    "quarantine": "quarantine list",
    "replays": "replay list",
    "tokens": "tokens list",
}
_START = "`amqp-bridge run -c bridge.yaml`"
_WHERE = "say where it is with --url, BRIDGE_URL or -c bridge.yaml"


class ApiProblem(Failure):
    """The bridge answered with a problem document."""

    def __init__(self, lines: list[str], code: int, status: int, document: Any) -> None:
        super().__init__(lines, code)
        self.status = status
        self.document = document


class Unreachable(Failure):
    """No bridge answers."""


def refusal(access: ApiConnection, method: str, path: str, response: "httpx.Response") -> Failure:
    """Returns the error for a problem response."""
    document = parse(response.content)
    if not isinstance(document, dict) or "status" not in document:
        return unreadable(access, method, path, response)
    status = response.status_code
    detail = f": {visible(str(document['detail']))}" if document.get("detail") else ""
    first = f"{method} {access.url}{path}: {status} {_phrase(status)}{detail}"
    lines = [first, *_members(document), *_advice(access, path, response)]
    return ApiProblem(lines, USAGE if status in _TYPED else FAILED, status, document)


def _members(document: dict[str, Any]) -> Iterator[str]:
    for each in document.get("invalid-params", []):
        told = f"{each.get('name')}: {each.get('reason')}"
        if told not in str(document.get("detail")):
            yield visible(told)
    if document.get("request_id"):
        yield f"request id: {visible(str(document['request_id']))}"


def _advice(access: ApiConnection, path: str, response: "httpx.Response") -> Iterator[str]:
    wait = response.headers.get("Retry-After")
    match response.status_code:
        case 401 if access.token is None:
            yield "set BRIDGE_TOKEN to a token, or BRIDGE_ADMIN_TOKEN to http.admin_token of the bridge"
        case 401:
            yield f"the token is that of {access.token_from}; set BRIDGE_TOKEN to one that the bridge knows"
        case 403:
            yield f"the token is that of {access.token_from}; set BRIDGE_TOKEN to one with a higher role"
        case 404:
            yield _missing(path.split("/")[3:])
        case 429 | 503 if wait:
            yield f"try again in {wait} s"
        case 500:
            yield "the log of the bridge tells more under this request id"


def _missing(parts: list[str]) -> str:
    if len(parts) > 1 and parts[0] in _LISTS:
        return f"see what there is with `amqp-bridge {_LISTS[parts[0]]}`"
    return "with http.admin_listen the API answers on that address alone: give it with --url or BRIDGE_URL"


def unreadable(access: ApiConnection, method: str, path: str, response: "httpx.Response") -> Failure:
    """Returns the error for a response that does not come from a bridge."""
    status = f"{response.status_code} {_phrase(response.status_code)}"
    kind = visible(response.headers.get("Content-Type", "no content type"))
    return Unreachable(
        [f"{method} {access.url}{path}: {status}, {kind}: that is no answer of a bridge", _WHERE]
    )


def nothing_answers(access: ApiConnection, error: Exception) -> Failure:
    """Returns the error for a connection that failed or ended early."""
    import httpx

    if isinstance(error, httpx.ReadTimeout):
        late = f"the bridge at {access.url} did not answer in time"
        return Unreachable([late, "what was asked of it may be done all the same"])
    if _about_certificates(error):
        return Unreachable(
            [f"{access.url}: {_text(error)}", "name the authority to trust with --ca-file FILE"]
        )
    return Unreachable(
        [f"no bridge answers at {access.url}: {_text(error)}", f"start one with {_START}, or {_WHERE}"]
    )


def _about_certificates(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _text(error: Exception) -> str:
    return visible(str(error) or type(error).__name__)[:_LONGEST]


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unknown status"


PATIENCE = 60.0
"""Default timeout of a request, in seconds."""
_CONNECT_SECONDS = 5.0
_LOOPBACK = ("127.", "localhost", "::1")

_KINDS = ("json", "application/octet-stream")

Query = Mapping[str, Any]
"""Parameters that are None are left out, lists are repeated."""


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A response of the API: its body, and the parsed value."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    value: Any


def answer_of(value: Any) -> ApiResponse:
    """Returns an answer with this value, as the API would send it."""
    return ApiResponse(200, {}, json_text(value).encode(), value)


class Client:
    """Sends requests to the API of one bridge. Every method raises ApiProblem for a problem, and Unreachable."""

    def __init__(self, access: ApiConnection, seconds: float = PATIENCE) -> None:
        """`seconds` is the timeout of each request. Raises SettingsError for a CA file that cannot be used."""
        import httpx

        self.access = access
        shown = [] if access.token is None else [(b"Authorization", f"Bearer {access.token}".encode())]
        self._bounds = httpx.Timeout(seconds, connect=min(_CONNECT_SECONDS, seconds))
        # A proxy for other hosts must not be used for this machine.
        here = (urlsplit(access.url).hostname or "").startswith(_LOOPBACK)
        self._http = httpx.Client(
            headers=[(b"Accept", b"application/json"), *shown],
            verify=_trust(access),
            trust_env=not here,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def ask(self, method: str, path: str, **options: Any) -> ApiResponse:
        """Sends a request to a path below /api/v1; options are those of `_exchange`."""
        path = f"/api/v1{path}"
        response = self._exchange(method, path, **options)
        if response.status_code >= 400:
            raise refusal(self.access, method, path, response)
        value = self._value(method, path, response)
        return ApiResponse(response.status_code, response.headers, response.content, value)

    def get(self, path: str, query: Query | None = None) -> Any:
        """Returns the value at a path."""
        return self.ask("GET", path, query=query).value

    def health(self) -> Any:
        """Returns the answer of /health/ready, with any status."""
        return self._value("GET", "/health/ready", self._exchange("GET", "/health/ready"))

    def items(
        self, path: str, query: Query, limit: int | None, seconds: float | None = None
    ) -> dict[str, Any]:
        """Reads up to `limit` items of a list (None: all), page by page, and returns them as one page with its next cursor.

        After `seconds` it returns what was read by then.
        """
        ends_at = None if seconds is None else time.monotonic() + seconds
        found: list[Any] = []
        looked_at = unanswered = 0
        cursor = query.get("cursor")
        while True:
            wanted = 200 if limit is None else min(200, limit - len(found))
            page: dict[str, Any] = self.get(path, {**query, "limit": wanted, "cursor": cursor})
            found += page["items"]
            cursor = page["next"]
            if searched := page.get("searched"):
                looked_at, unanswered = looked_at + searched["events"], unanswered + searched["unanswered"]
                page["searched"] = {**searched, "events": looked_at, "unanswered": unanswered}
            late = ends_at is not None and time.monotonic() >= ends_at
            if cursor is None or late or (limit is not None and len(found) >= limit):
                return {**page, "items": found}

    def _value(self, method: str, path: str, response: "httpx.Response") -> Any:
        kind = response.headers.get("Content-Type", "").partition(";")[0]
        if response.is_redirect or (response.content and not kind.endswith(_KINDS)):
            raise unreadable(self.access, method, path, response)
        return parse(response.content) if kind.endswith("json") else None

    def _exchange(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> "httpx.Response":
        """Sends `body` as JSON unless it is None; `seconds` replaces the default timeout."""
        import httpx

        kind = {} if body is None else {"Content-Type": "application/json"}
        try:
            return self._http.request(
                method,
                self.access.url + path,
                params=list(_pairs(query or {})),
                content=None if body is None else json_text(body).encode(),
                headers={**kind, **(headers or {})},
                timeout=self._bounds if seconds is None else httpx.Timeout(seconds, connect=_CONNECT_SECONDS),
            )
        except (httpx.TransportError, httpx.InvalidURL, UnicodeError) as error:
            raise nothing_answers(self.access, error) from error


def segment(text: str) -> str:
    """Returns a name or an id as one path segment."""
    # A segment of dots would be resolved as a parent directory before the request is sent.
    return quote(text, safe="") if text.strip(".") else text.replace(".", "%2E")


def _pairs(query: Query) -> Iterator[tuple[str, str]]:
    for name, value in query.items():
        for each in value if isinstance(value, (list, tuple)) else (value,):
            if each is not None:
                yield name, str(each).lower() if isinstance(each, bool) else str(each)


def _trust(access: ApiConnection) -> ssl.SSLContext | bool:
    if access.ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=access.ca_file)
    except ssl.SSLError as error:
        raise usage("--ca-file", f"no usable PEM in {access.ca_file}: {error.reason or error}") from None
    except OSError as error:
        raise usage("--ca-file", f"{access.ca_file} cannot be read: {error.strerror}") from None
