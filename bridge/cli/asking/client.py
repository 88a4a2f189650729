"""One connection to the running bridge: requests out, values in."""

import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack
from urllib.parse import quote, urlsplit

import httpx

from bridge.cli.asking.access import Access
from bridge.cli.asking.refusals import nothing_answers, refusal, unreadable
from bridge.cli.failures import usage
from bridge.rules.bodies.exact import json_text
from bridge.rules.formats.parse import parse

PATIENCE = 60.0
"""Seconds for an answer, where a request does not say otherwise."""
_CONNECT_SECONDS = 5.0
_LOOPBACK = ("127.", "localhost", "::1")

_KINDS = ("json", "application/octet-stream")

Query = Mapping[str, Any]


class Options(TypedDict, total=False):
    """What a request has besides method and path."""

    query: Query | None
    """What is None is left out, lists are repeated."""
    body: Any
    """Sent as JSON; None: no body."""
    headers: Mapping[str, str] | None
    seconds: float
    """Bounds the answer, in place of the client's own bound."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API answered: the text as it is, and the value that it stands for."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    value: Any


class Client:
    """Asks the API of one bridge. Every method raises Refused for a problem, and Unreachable."""

    def __init__(self, access: Access, seconds: float = PATIENCE) -> None:
        """`seconds` bounds each answer. Raises SettingsError for a CA file that cannot be used."""
        self.access = access
        shown = [] if access.token is None else [(b"Authorization", f"Bearer {access.token}".encode())]
        self._bounds = httpx.Timeout(seconds, connect=min(_CONNECT_SECONDS, seconds))
        # A proxy for the rest of the world is none for this machine.
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

    def ask(self, method: str, path: str, **options: Unpack[Options]) -> Answer:
        """The answer at this path below /api/v1."""
        path = f"/api/v1{path}"
        response = self._exchange(method, path, options)
        if response.status_code >= 400:
            raise refusal(self.access, method, path, response)
        value = self._value(method, path, response)
        return Answer(response.status_code, response.headers, response.content, value)

    def get(self, path: str, query: Query | None = None) -> Any:
        """The value that stands there."""
        return self.ask("GET", path, query=query).value

    def health(self) -> Any:
        """What /health/ready says, with whatever status."""
        return self._value("GET", "/health/ready", self._exchange("GET", "/health/ready", {}))

    def items(
        self, path: str, query: Query, limit: int | None, seconds: float | None = None
    ) -> dict[str, Any]:
        """Up to `limit` entries of a list (None: all), page after page, as one page: with the cursor where it goes on.

        `seconds`: how long it may go on; what was found by then is told.
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

    def _value(self, method: str, path: str, response: httpx.Response) -> Any:
        kind = response.headers.get("Content-Type", "").partition(";")[0]
        if response.is_redirect or (response.content and not kind.endswith(_KINDS)):
            raise unreadable(self.access, method, path, response)
        return parse(response.content) if kind.endswith("json") else None

    def _exchange(self, method: str, path: str, options: Options) -> httpx.Response:
        body, seconds = options.get("body"), options.get("seconds")
        kind = {} if body is None else {"Content-Type": "application/json"}
        try:
            return self._http.request(
                method,
                self.access.url + path,
                params=list(_pairs(options.get("query") or {})),
                content=None if body is None else json_text(body).encode(),
                headers=kind | dict(options.get("headers") or {}),
                timeout=self._bounds if seconds is None else httpx.Timeout(seconds, connect=_CONNECT_SECONDS),
            )
        except (httpx.TransportError, httpx.InvalidURL, UnicodeError) as error:
            raise nothing_answers(self.access, error) from error


def segment(text: str) -> str:
    """A name or an id as one part of a path."""
    # A path of dots would be taken for a way up before it is sent.
    return quote(text, safe="") if text.strip(".") else text.replace(".", "%2E")


def _pairs(query: Query) -> Iterator[tuple[str, str]]:
    for name, value in query.items():
        for each in value if isinstance(value, (list, tuple)) else (value,):
            if each is not None:
                yield name, str(each).lower() if isinstance(each, bool) else str(each)


def _trust(access: Access) -> ssl.SSLContext | bool:
    if access.ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=access.ca_file)
    except ssl.SSLError as error:
        raise usage("--ca-file", f"no usable PEM in {access.ca_file}: {error.reason or error}") from None
    except OSError as error:
        raise usage("--ca-file", f"{access.ca_file} cannot be read: {error.strerror}") from None
