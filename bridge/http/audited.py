"""What goes before and after every operation: whether the role is enough, and the entry in the audit log."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from bridge.admin.audit import AuditLog
from bridge.http.api_bodies import body_of
from bridge.http.operation import ACTOR, CHANGED, UNCHANGED, Handler, Operation
from bridge.http.problem import REQUEST_ID, Refused
from bridge.model.documents.shape import Nothing


def guarded(operation: Operation, log: AuditLog) -> Handler:
    """The operation's handler for whose role is enough; what it changes is written into the audit log."""
    return _allowed(operation, _written(operation, log) if operation.is_audited else operation.handler)


def _allowed(operation: Operation, handler: Handler) -> Handler:
    async def check(request: web.Request) -> web.StreamResponse:
        actor = request[ACTOR]
        if not actor.role.may(operation.role):
            challenge = f'Bearer realm="amqp-bridge", error="insufficient_scope", scope="{operation.role}"'
            detail = f"{operation.name} needs the role {operation.role}; this token has {actor.role}"
            raise Refused(403, detail, headers={"WWW-Authenticate": challenge})
        if operation.body is None and operation.method != "GET":
            await body_of(request, Nothing, optional=True)
        return await handler(request)

    return check


def _written(operation: Operation, log: AuditLog) -> Handler:
    async def change(request: web.Request) -> web.StreamResponse:
        response = await operation.handler(request)
        if response.status < 400 and UNCHANGED not in request:
            changed = request.get(CHANGED, {})
            await log.write(
                request[ACTOR],
                operation.name,
                (operation.object_type, _object_id(request, changed)),
                {name: told for name, told in changed.items() if name != "id"},
                request_id=request[REQUEST_ID],
                remote=request.remote or "",
            )
        return response

    return change


def _object_id(request: web.Request, changed: Mapping[str, Any]) -> str:
    """Told by the handler where the path has another name of the thing, or none."""
    return str(changed.get("id", request.match_info.get("id", "")))
