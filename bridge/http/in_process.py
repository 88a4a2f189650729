"""The operations of the API for other parts of this process: the same checks, problems and audit log, without a socket."""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from aiohttp.http import HttpVersion11
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_urldispatcher import SystemRoute, UrlMappingMatchInfo
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from bridge.bodies.exact import json_text
from bridge.core.access import Actor
from bridge.http.api import MOST_BODY, PREFIX, Api
from bridge.http.documents import REQUEST_ID
from bridge.http.handling import Answer, not_enough
from bridge.http.operation import ACTOR, AUDITED, VIA, Operation
from bridge.http.tables import item_of, table

Asked = Mapping[str, str | list[str]]
"""The parameters of a query; a list repeats its parameter."""


class Operations:
    """Calls operations by name on behalf of the actor of another request."""

    def __init__(self, api: Api, via: str) -> None:
        """`via` names the caller in the audit log."""
        self._api = api
        self._via = via
        self._known = {operation.name: operation for operation in api.operations()}
        self._app = web.Application()
        self._app[AUDITED] = [each for each in self._known.values() if each.is_audited]

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def may(self, actor: Actor, name: str) -> bool:
        """Returns whether there is such an operation, and the actor's role grants it."""
        operation = self._known.get(name)
        return operation is not None and actor.role.may(operation.role)

    def demand(self, actor: Actor, name: str) -> None:
        """Raises RequestProblem: 403 if the actor's role does not grant the operation."""
        operation = self._known.get(name)
        if operation is not None and not actor.role.may(operation.role):
            raise not_enough(operation, actor)

    def url(self, name: str, query: Asked, which: str = "") -> tuple[str, URL]:
        """Returns the method, and the path and query of a call."""
        operation = self._known[name]
        path = PREFIX + operation.path
        url = URL.build(path=path if not which else path.replace("{id}", which.replace("/", "")))
        return operation.method, url.with_query(query or None)

    async def call(
        self,
        name: str,
        actor: Actor,
        outer: web.Request,
        *,
        query: Asked | None = None,
        body: Any = None,
        which: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Returns the answer of the operation.

        `outer` is the request that needs it, for its id and the client's address. `body`: JSON values, or bytes that are sent as
        they are; `which`: the id or name in the path. Raises KeyError if there is no such operation.
        """
        operation = self._known[name]
        _, url = self.url(name, query or {}, which)
        raw = body if isinstance(body, bytes) else b"" if body is None else json_text(body).encode()
        request = _InProcess(outer, operation, url, raw, headers or {})
        request.match_info.update({"id": which} if which else {})
        request.match_info.add_app(self._app)
        request[ACTOR], request[REQUEST_ID], request[VIA] = actor, outer[REQUEST_ID], self._via
        return await self._api.answer(operation, request)

    async def table(
        self, name: str, actor: Actor, outer: web.Request, query: Asked, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        """Sends the whole list of an operation as CSV; raises Unanswered for a problem before the first row."""
        operation = self._known[name]
        item = item_of(operation.answers.get(200))
        assert item is not None

        async def page(asked: web.Request) -> Any:
            given = asked.rel_url.query
            wanted = {each: given.getall(each) for each in given}
            answer = await self.call(name, actor, outer, query=wanted)
            if not answer.ok:
                raise Unanswered(answer)
            return answer.document

        _, url = self.url(name, query)
        return await table(outer.clone(rel_url=url), operation.group, item, page, headers)


class Unanswered(Exception):
    """An operation was answered with a problem."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(str(answer.document))
        self.answer = answer


class _InProcess(web.Request):
    """A request that no client sent: its own head and body, with the connection of the request that caused it."""

    def __init__(
        self, outer: web.Request, operation: Operation, url: URL, body: bytes, headers: Mapping[str, str]
    ) -> None:
        given = CIMultiDict(headers)
        given["Content-Length"] = str(len(body))
        if body:
            given.setdefault("Content-Type", "application/json")
        loop = asyncio.get_running_loop()
        payload = StreamReader(outer.protocol, MOST_BODY, loop=loop)
        payload.feed_data(body)
        payload.feed_eof()
        message = RawRequestMessage(
            operation.method,
            str(url),
            HttpVersion11,
            CIMultiDictProxy(given),
            (),
            should_close=False,
            compression=None,
            upgrade=False,
            chunked=False,
            url=url,
        )
        super().__init__(
            message,
            payload,
            outer.protocol,
            outer.writer,
            outer.task,
            loop,
            client_max_size=MOST_BODY,
            remote=outer.remote,
        )
        self._found = UrlMappingMatchInfo({}, SystemRoute(web.HTTPNotFound()))

    @property
    def match_info(self) -> UrlMappingMatchInfo:
        """Returns what the path names; no router found it."""
        return self._found

    @property
    def app(self) -> web.Application:
        """Returns an application with the keys of the API's."""
        return self._found.current_app
