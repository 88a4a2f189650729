"""What a command says when the bridge refuses, or does not answer: what, where and what to do."""

import ssl
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import httpx

from bridge.cli.asking.access import Access
from bridge.cli.failures import FAILED, USAGE, Failure
from bridge.cli.showing.words import visible
from bridge.rules.formats.parse import parse

_TYPED = frozenset({400, 405, 413, 415, 422})
"""What the user typed is wrong; anything else is about the bridge, or how things stand there."""
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


class Refused(Failure):
    """The bridge answered with a problem; `document` is what it answered."""

    def __init__(self, lines: list[str], code: int, status: int, document: Any) -> None:
        super().__init__(lines, code)
        self.status = status
        self.document = document


class Unreachable(Failure):
    """Nothing that is a bridge answers."""


def refusal(access: Access, method: str, path: str, response: httpx.Response) -> Failure:
    """The problem in words."""
    document = parse(response.content)
    if not isinstance(document, dict) or "status" not in document:
        return unreadable(access, method, path, response)
    status = response.status_code
    detail = f": {visible(str(document['detail']))}" if document.get("detail") else ""
    first = f"{method} {access.url}{path}: {status} {_phrase(status)}{detail}"
    lines = [first, *_members(document), *_advice(access, path, response)]
    return Refused(lines, USAGE if status in _TYPED else FAILED, status, document)


def _members(document: dict[str, Any]) -> Iterator[str]:
    for each in document.get("invalid-params", []):
        told = f"{each.get('name')}: {each.get('reason')}"
        if told not in str(document.get("detail")):
            yield visible(told)
    if document.get("request_id"):
        yield f"request id: {visible(str(document['request_id']))}"


def _advice(access: Access, path: str, response: httpx.Response) -> Iterator[str]:
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
    """What to do about a path, taken apart, that leads to nothing."""
    if len(parts) > 1 and parts[0] in _LISTS:
        return f"see what there is with `amqp-bridge {_LISTS[parts[0]]}`"
    return "with http.admin_listen the API answers on that address alone: give it with --url or BRIDGE_URL"


def unreadable(access: Access, method: str, path: str, response: httpx.Response) -> Failure:
    """Something answers that is no bridge."""
    status = f"{response.status_code} {_phrase(response.status_code)}"
    kind = visible(response.headers.get("Content-Type", "no content type"))
    return Unreachable(
        [f"{method} {access.url}{path}: {status}, {kind}: that is no answer of a bridge", _WHERE]
    )


def nothing_answers(access: Access, error: Exception) -> Failure:
    """The connection could not be made, or ended too early."""
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
