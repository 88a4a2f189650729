"""The description of the API as OpenAPI 3.1, made from its operations and the models of what they take and give."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter

from bridge import __version__
from bridge.core.access import Role
from bridge.core.inlet import INLET_NAME
from bridge.http.documents import CONTENT_TYPE, PlainProblem, ProblemDocument
from bridge.http.input import Parameter
from bridge.http.operation import Operation
from bridge.http.tables import item_of

# Answers as the description of the API tells them: status by status, with their headers.


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
        if item_of(kind) is not None:
            told["content"]["text/csv"] = {"schema": {"type": "string"}}
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


# What answers without a token, as the description of the API tells it.


_OBJECT = {"application/json": {"schema": {"type": "object"}}}
_PROBLEM = {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/PlainProblem"}}}


def _get(name: str, summary: str, content: dict[str, Any], **more: str) -> dict[str, Any]:
    statuses = {"200": "OK", **more}
    responses = {status: {"description": told, "content": content} for status, told in statuses.items()}
    return {
        "get": {
            "operationId": name,
            "tags": ["open"],
            "summary": summary,
            "security": [],
            "responses": responses,
        }
    }


_REFUSALS = {
    "400": "The body ended early.",
    "403": "No verifier of the inlet accepts the request.",
    "404": "There is no such inlet.",
    "405": "The inlet does not take this method.",
    "408": "The body did not come in time.",
    "413": "The body is too large.",
    "431": "More headers than a message can carry.",
    "503": "The broker does not take the message now; try again.",
}


_INLET = {
    "name": "inlet",
    "in": "path",
    "required": True,
    "description": "Name of the inlet.",
    "schema": {"type": "string", "pattern": INLET_NAME},
}


def _asked(name: str, summary: str) -> dict[str, Any]:
    told = {"200": "The answer; nothing is published.", "404": "No such inlet, or it does not agree."}
    responses = {status: {"description": text} for status, text in told.items()}
    return {
        "operationId": name,
        "tags": ["open"],
        "summary": summary,
        "security": [],
        "parameters": [_INLET],
        "responses": responses | {"405": {"description": _REFUSALS["405"], "content": _PROBLEM}},
    }


OPEN_TAGS = [{"name": "open", "description": "What answers without a token."}]
OPEN_PATHS: dict[str, Any] = {
    "/health/live": _get("health.live", "Liveness: 200 while the process responds", _OBJECT),
    "/health/ready": _get(
        "health.ready",
        "Readiness: 200 from start to shutdown, with the state of broker, database and consumers",
        _OBJECT,
        **{"503": "It starts or stops."},
    ),
    "/metrics": _get("metrics.show", "Get metrics in the text format of Prometheus", {"text/plain": {}}),
    "/openapi.json": _get("openapi.show", "Get this OpenAPI document", _OBJECT),
    "/docs": _get("docs.show", "Get this document as an HTML page", {"text/html": {}}),
    "/in/{inlet}": {
        "post": {
            "operationId": "inlets.receive",
            "tags": ["open"],
            "summary": "Receive a webhook; the response follows verification and the broker's confirm",
            "description": "An inlet may accept other methods and further paths; its settings determine them.",
            "security": [],
            "parameters": [_INLET],
            "requestBody": {"required": False, "content": {"*/*": {}}},
            "responses": {
                "2XX": {"description": "Published, with the answer that is configured."},
                **{status: {"description": told, "content": _PROBLEM} for status, told in _REFUSALS.items()},
            },
        },
        "get": _asked("inlets.probe", "Answer a probe, or a sender's challenge if the inlet has one"),
        "options": _asked("inlets.permit", "Grant a sender of CloudEvents permission to send, with a rate"),
    },
}


API_VERSION = "1"
_REF = "#/components/schemas/{model}"
_ABOUT = """\
What happened, what is in force, why events go where they go, and how to change it.

Every path below `/api` wants `Authorization: Bearer <token>`: `http.admin_token` of the settings, or a token made with
`POST /api/v1/tokens`. A token has a role: `viewer` looks, `operator` runs, `admin` sets up; each may do what the one
before it may.

Lists are pages: `next` is the `cursor` of the following one. Times are RFC 3339 in UTC. Errors are RFC 9457 problems.
`X-Request-Id` of a request is taken over into answer, problem and log."""

_TAGS = {
    "hooks": "Which events go to which target, and how.",
    "deliveries": "One event for one hook, with its attempts.",
    "events": "What came in.",
    "explain": "Why events go where they go.",
    "replays": "Many deliveries started anew, as a job.",
    "quarantine": "Messages that could not be handled.",
    "sources": "Queues that are consumed.",
    "replicas": "Processes that share the work.",
    "stats": "Figures, and how they went.",
    "webhooks": "Webhooks in the words of Phlix's admin API.",
    "tokens": "Who may do what.",
    "me": "Who asks.",
    "audit": "Who changed what.",
}

Key = tuple[str, str]
"""What a schema is of: an operation's name, and its body, an answer's status or a parameter."""


def description(operations: Sequence[Operation], prefix: str) -> dict[str, Any]:
    """The document; the operations' paths stand behind `prefix`."""
    schemas, definitions = _schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        told = _operation(operation, schemas)
        paths.setdefault(prefix + operation.path, {})[operation.method.lower()] = told
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "amqp-bridge",
            "version": API_VERSION,
            "summary": f"The HTTP API of amqp-bridge {__version__}",
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "tags": _tags(operations),
        "paths": paths | OPEN_PATHS,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`http.admin_token`, or a token.",
                }
            },
            "schemas": definitions,
            **components(),
        },
    }


def _tags(operations: Iterable[Operation]) -> list[dict[str, str]]:
    used = dict.fromkeys(operation.group for operation in operations)
    order = [*(name for name in _TAGS if name in used), *(name for name in used if name not in _TAGS)]
    told = [{"name": name, "description": _TAGS[name]} if name in _TAGS else {"name": name} for name in order]
    return [*told, *OPEN_TAGS]


def _operation(operation: Operation, schemas: Mapping[Key, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.group],
        "summary": operation.summary,
        "description": _in_words(operation),
        "x-role": operation.role.value,
        "parameters": [
            *_of_path(operation),
            *(_parameter(operation, each, schemas) for each in operation.parameters),
        ],
        "responses": {
            **{
                str(status): answered(operation, status, kind, schemas.get((operation.name, str(status))))
                for status, kind in sorted(operation.answers.items())
            },
            **refusals_of(operation),
        },
    }
    if operation.body is not None:
        told["requestBody"] = _body(operation, schemas[operation.name, "body"])
    return told


def _in_words(operation: Operation) -> str:
    role = "Needs any token." if operation.role is Role.VIEWER else f"Needs the role `{operation.role}`."
    return f"{operation.description}\n\n{role}".strip()


def _of_path(operation: Operation) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", operation.path):
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": f"Names the {operation.object_type}.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 200},
        }


def _parameter(operation: Operation, parameter: Parameter, schemas: Mapping[Key, Any]) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.required,
        "description": parameter.description,
        "schema": schemas[operation.name, f"{parameter.where} {parameter.name}"],
    }


def _body(operation: Operation, schema: Any) -> dict[str, Any]:
    content = {"schema": schema}
    if operation.example is not None:
        content["example"] = operation.example
    kinds = ["application/json"]
    if operation.method == "PATCH":
        kinds.append("application/merge-patch+json")
    return {"required": operation.body_required, "content": dict.fromkeys(kinds, content)}


def _schemas(operations: Iterable[Operation]) -> tuple[dict[Key, Any], dict[str, Any]]:
    """The schema of everything that is taken or given, and what these have in common, by name."""
    wanted: list[tuple[Key, Any]] = [(("", "problem"), ProblemDocument), (("", "plain"), PlainProblem)]
    for operation in operations:
        wanted += [
            ((operation.name, f"{each.where} {each.name}"), each.type) for each in operation.parameters
        ]
        if operation.body is not None:
            wanted.append(((operation.name, "body"), operation.body))
        wanted += [
            ((operation.name, str(status)), kind)
            for status, kind in operation.answers.items()
            if kind not in {None, bytes}
        ]
    # What is given is described as it would be read: what is not always there is not required.
    found, common = TypeAdapter.json_schemas(
        [(key, "validation", TypeAdapter(kind)) for key, kind in wanted], ref_template=_REF
    )
    return {key: schema for (key, _), schema in found.items()}, dict(sorted(common["$defs"].items()))
