"""The description of the API as OpenAPI 3.1, made from its operations and the models of what they take and give."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from bridge import __version__
from bridge.http.openapi_answers import answered, components, refusals_of
from bridge.http.openapi_open import OPEN_PATHS, OPEN_TAGS
from bridge.http.operation import Operation, Parameter
from bridge.model.access import Role
from bridge.model.documents import PlainProblem, ProblemDocument

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
