"""Answers as the description of the API tells them: status by status, with their headers."""

from http import HTTPStatus
from typing import Any

from bridge.http.operation import Operation
from bridge.http.problem import CONTENT_TYPE
from bridge.model.access import Role

_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {"description": "Id of the request, as in the log.", "required": True},
    "WWW-Authenticate": {"description": "What is asked for (RFC 6750).", "required": True},
    "Retry-After": {"description": "Seconds after which it may be tried again."},
    "ETag": {"description": "Version of what is shown, for `If-Match`."},
    "Location": {"description": "Path of what was made."},
    "Idempotent-Replayed": {"description": "true: the answer of before is given again."},
}
_OF_STATUS = {
    401: ("WWW-Authenticate",),
    403: ("WWW-Authenticate",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
_MEANINGS = {
    400: "Parameters or the body's JSON are wrong; `invalid-params` names all that is.",
    401: "No token, or one that nobody has or that is good no longer.",
    403: "The token's role is not enough.",
    404: "There is nothing with this id.",
    408: "The body did not come in time.",
    409: "It is at odds with what there is, or several ids begin as the given one; `detail` says how.",
    412: "It was changed since: `If-Match` names another version.",
    413: "The body is too large.",
    415: "The body is no JSON.",
    422: "The body does not fit, or nothing has a name that is asked for; `invalid-params` names all that is wrong.",
    429: "Too many wrong tokens come from this address.",
    503: "The database or the broker does not answer; try again.",
}
_SHORT_IDS = tuple(f"/v1/{name}/{{id}}" for name in ("events", "deliveries", "quarantine", "replays"))
_ALWAYS = (400, 401, 429, 503)
_WITH_BODY = (408, 413, 415, 422)


def components() -> dict[str, Any]:
    """What answers refer to."""
    return {
        "headers": {name: {**told, "schema": {"type": "string"}} for name, told in _HEADERS.items()},
        "responses": {_name(status): _problem(status) for status in sorted(_MEANINGS)},
    }


def answered(operation: Operation, status: int, kind: Any, schema: Any) -> dict[str, Any]:
    """The answer of this status; `kind` is its type, None for no body and bytes for octets."""
    told: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "headers": _headers(
            "X-Request-Id", *operation.answer_headers, *(["Location"] if status == 201 else [])
        ),
    }
    if kind is bytes:
        told["content"] = {"application/octet-stream": {}}
    elif kind is not None:
        told["content"] = {"application/json": {"schema": schema}}
    return told


def refusals_of(operation: Operation) -> dict[str, Any]:
    """The problems that an operation may be answered with, by status."""
    statuses = {*_ALWAYS, *operation.refusals}
    if operation.role is not Role.VIEWER:
        statuses.add(403)
    if "{" in operation.path:
        statuses.add(404)
    if operation.body is not None or operation.method != "GET":  # the others may have none
        statuses.update(_WITH_BODY)
    if operation.parameters:
        statuses.add(422)
    if operation.path.startswith(_SHORT_IDS):
        statuses.add(409)
    return {
        str(status): {"$ref": f"#/components/responses/{_name(status)}"}
        for status in sorted(statuses.difference(operation.answers))
    }


def _problem(status: int) -> dict[str, Any]:
    return {
        "description": _MEANINGS[status],
        "headers": _headers("X-Request-Id", *_OF_STATUS.get(status, ())),
        "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
    }


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in dict.fromkeys(names)}


def _name(status: int) -> str:
    """As `NotFound`."""
    return HTTPStatus(status).phrase.replace(" ", "").replace("-", "")
