"""The handling of a request to an operation, the same for all: role, query and body, the audit log, and the response."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from typing import Any

from aiohttp import BytesIOPayload, web
from aiohttp.typedefs import Handler

from bridge.bodies.exact import json_text
from bridge.core.access import ACTING, GRANTED, Actor
from bridge.http.body import aside, body_of
from bridge.http.documents import REQUEST_ID, Nothing, RequestProblem, plain
from bridge.http.operation import ACTOR, VIA, AuditLog, Call, Operation, Reply
from bridge.http.tables import is_asked, item_of, table

_PIECES = 262_144


def runner(operation: Operation, log: AuditLog) -> Handler:
    """Returns the handler: it checks role, query and body, runs the operation, writes response and audit log."""
    item = item_of(operation.answers.get(200))

    async def page(request: web.Request) -> Any:
        return (await _done(operation, request))[1].document

    async def run(request: web.Request) -> web.StreamResponse:
        if item is not None and is_asked(request):
            return await table(request, operation.group, item, page)
        call, reply = await _done(operation, request)
        response = await _response(operation, call, reply)
        await _write(operation, call, reply, log)
        return response

    return run


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of an operation that was called in process: the HTTP status, the document as JSON values, the headers."""

    status: int
    document: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Returns whether the operation succeeded; if not, the document is a problem (RFC 9457)."""
        return self.status < 400


async def answered(operation: Operation, request: web.Request, log: AuditLog) -> Answer:
    """Runs the operation as `runner` does, and returns its answer without a response being made of it."""
    call, reply = await _done(operation, request)
    document = await aside(partial(plain, reply.document), reply.size)
    await _write(operation, call, reply, log)
    return Answer(_status(operation, reply), document, _headers(call, reply))


async def _done(operation: Operation, request: web.Request) -> tuple[Call[Any, Any], Reply]:
    actor = request[ACTOR]
    if operation.role not in GRANTED[actor.role]:
        raise not_enough(operation, actor)
    call = await _call(operation, request, actor)
    ACTING.set(actor.name)
    try:
        done = await operation.run(call)
    except tuple(operation.problems) as error:
        kind = next(each for each in type(error).__mro__ if each in operation.problems)
        raise operation.problems[kind](error, call) from None
    return call, done if isinstance(done, Reply) else Reply(document=done)


def not_enough(operation: Operation, actor: Actor) -> RequestProblem:
    """Returns the problem of an actor whose role does not grant the operation."""
    challenge = f'Bearer realm="amqp-bridge", error="insufficient_scope", scope="{operation.role}"'
    detail = f"{operation.name} needs the role {operation.role}; this token has {actor.role}"
    return RequestProblem(403, detail, headers={"WWW-Authenticate": challenge})


async def _call(operation: Operation, request: web.Request, actor: Actor) -> Call[Any, Any]:
    if operation.body is None and operation.method != "GET":
        await body_of(request, Nothing, optional=True)
    query, body = operation.query(request), None
    if not operation.query.looks_up:
        query.check()
    if operation.read is not None:
        body = await operation.read(request)
    elif operation.body is not None:
        body = await body_of(request, operation.body, optional=not operation.body_required)
    return Call(query, body, actor, request)


def _status(operation: Operation, reply: Reply) -> int:
    return 201 if reply.made else reply.status or min(operation.answers)


def _headers(call: Call[Any, Any], reply: Reply) -> dict[str, str]:
    return {**reply.headers, **({"Location": f"{call.request.path}/{reply.made}"} if reply.made else {})}


async def _response(operation: Operation, call: Call[Any, Any], reply: Reply) -> web.Response:
    document = reply.document
    response = web.Response(status=_status(operation, reply), headers=_headers(call, reply))
    if isinstance(document, bytes):
        response.body, response.content_type = _in_pieces(document), "application/octet-stream"
    elif document is not None:
        response.body = _in_pieces(await aside(partial(_written, document), reply.size))
        response.content_type = "application/json"
    return response


def _in_pieces(body: bytes) -> bytes | BytesIOPayload:
    """Returns a large body as a payload that is sent piece by piece: one write of 36 MB blocks the event loop for 50 ms."""
    return body if len(body) < _PIECES else BytesIOPayload(BytesIO(body))


def _written(document: Any) -> bytes:
    return json_text(plain(document)).encode()


async def _write(operation: Operation, call: Call[Any, Any], reply: Reply, log: AuditLog) -> None:
    if not operation.is_audited or reply.changed is None:
        return
    changed = {"id": reply.made or call.request.match_info.get("id", ""), **(reply.changed or {})}
    if VIA in call.request:
        changed["via"] = call.request[VIA]
    thing = str(changed.pop("id"))
    await log.write(
        call.actor,
        operation.name,
        (operation.object_type, thing),
        changed,
        request_id=call.request[REQUEST_ID],
        remote=call.request.remote or "",
    )
