"""What answers without a token, as the description of the API tells it."""

from typing import Any

from bridge.http.problem import CONTENT_TYPE
from bridge.model.inlet import INLET_NAME

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
    "/health/live": _get("health.live", "200 while the process works", _OBJECT),
    "/health/ready": _get(
        "health.ready",
        "200 from the start until the stop, with the state of broker, database and consumers",
        _OBJECT,
        **{"503": "It starts or stops."},
    ),
    "/metrics": _get("metrics.show", "Metrics in the text format of Prometheus", {"text/plain": {}}),
    "/openapi.json": _get("openapi.show", "This description", _OBJECT),
    "/docs": _get("docs.show", "This description as a page", {"text/html": {}}),
    "/in/{inlet}": {
        "post": {
            "operationId": "inlets.receive",
            "tags": ["open"],
            "summary": "Take a webhook in: it is verified, published and confirmed before it is answered",
            "description": "An inlet takes other methods too, and has further paths, as it is configured.",
            "security": [],
            "parameters": [_INLET],
            "requestBody": {"required": False, "content": {"*/*": {}}},
            "responses": {
                "2XX": {"description": "Published, with the answer that is configured."},
                **{status: {"description": told, "content": _PROBLEM} for status, told in _REFUSALS.items()},
            },
        },
        "get": _asked("inlets.probe", "Answer a probe, or the challenge of a sender as it is configured"),
        "options": _asked("inlets.permit", "Tell a sender of CloudEvents that it may send, and how much"),
    },
}
