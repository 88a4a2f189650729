"""The UI as one application: sessions, pages and actions, errors as pages."""

import logging
import time
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from bridge.core.errors import HistoryUnavailable
from bridge.http.api import Api, exact, outage
from bridge.http.documents import REQUEST_ID, NotFound, RequestProblem, problem_of
from bridge.http.in_process import Operations
from bridge.telemetry import events
from bridge.ui.assets import assets
from bridge.ui.front import Front
from bridge.ui.guard import HEADERS, Place
from bridge.ui.live import Pulse, Streams
from bridge.ui.login import Door
from bridge.ui.page import Action, Page, Refused, View
from bridge.ui.pages import ACTIONS, PAGES
from bridge.ui.reading import read_form
from bridge.ui.session import Sessions

MOST_AT_ONCE = 60
"""Maximum page requests at once; further ones are refused with 503."""
MOST_FORM = 16 * 1024 * 1024
"""Maximum bytes of a form."""


class Ui:
    """The operator UI over the operations of the API."""

    def __init__(
        self,
        api: Api,
        keys: Sequence[str],
        public_url: str | None = None,
        *,
        pages: Sequence[Page] = PAGES,
        actions: Sequence[Action] = ACTIONS,
    ) -> None:
        """`keys` seal sessions, see `Sessions`; `public_url` is the setting."""
        self._api = api
        self._keys = keys
        self._place = Place.of(public_url)
        self._pages = pages
        self._actions = actions
        self._open = 0

    @cached_property
    def sessions(self) -> Sessions:
        """Returns what seals sessions and login links; made when it is needed."""
        return Sessions(self._keys)

    def application(self) -> web.Application:
        """Returns the application, to be mounted at /ui."""
        app = web.Application(middlewares=[self._serve], client_max_size=MOST_FORM)
        self._operations = Operations(self._api, "ui")
        self._front = Front(self._pages, self._actions, self._operations, self._place)
        self._streams = Streams(Pulse(self._operations), self._still_in)
        app.on_shutdown.append(self._streams.end)
        self._door = Door(self._api.gate, lambda: self.sessions, self._place, self._front)
        paths = {*(page.path for page in self._pages), *(action.path for action in self._actions)}
        app.add_routes(
            [
                web.get("", self._start),
                web.get("/static/{name}", _static),
                *self._door.routes(),
                web.post("/look", self._door.look),
                *self._streams.routes(),
                *(
                    web.get(exact(f"/{page.path}", (f"/{path}" for path in paths)), partial(self._page, page))
                    for page in self._pages
                ),
                *(
                    web.get(f"/{page.path}.csv", partial(self._export, page))
                    for page in self._pages
                    if page.export
                ),
                *(web.post(f"/{action.path}", partial(self._act, action)) for action in self._actions),
            ]
        )
        return app

    async def _start(self, _: web.Request) -> web.Response:
        return web.Response(status=308, headers={"Location": f"{self._place.root}/"})

    @web.middleware
    async def _serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Gives the request an id, the headers of all pages, and turns refusals into pages."""
        request[REQUEST_ID] = self._api.new_id()
        started = time.monotonic()
        try:
            response = await self._within(request, handler)
        except Exception as error:  # noqa: BLE001 -- the outermost frame of a request
            response = await self._refused(request, error)
        self._door.renew(request, response)
        for name, text in HEADERS.items():
            response.headers.setdefault(name, text)
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["X-Request-Id"] = request[REQUEST_ID]
        level = logging.WARNING if response.status >= 500 else logging.DEBUG
        events.process.log(
            level,
            "ui.answered",
            request_id=request[REQUEST_ID],
            method=request.method,
            path=request.path,
            status=response.status,
            duration_ms=round((time.monotonic() - started) * 1000, 1),
        )
        return response

    async def _still_in(self, request: web.Request) -> None:
        with outage(request):
            await self._door.who(request)

    async def _within(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        # Streams have a limit of their own; the style sheet is in memory, and the page that refuses needs it.
        if request.path == "/ui/live" or request.path.startswith("/ui/static/"):
            return await handler(request)
        if self._open >= MOST_AT_ONCE:
            raise RequestProblem(503, "too many requests at once; try again", headers={"Retry-After": "1"})
        self._open += 1
        try:
            if request.method == "POST" and not self._place.is_own(request):
                raise RequestProblem(403, "the form was sent by a page of another origin")
            with outage(request):
                return await handler(request)
        finally:
            self._open -= 1

    async def _page(self, page: Page, request: web.Request) -> web.StreamResponse:
        view = await self._view(request, page.operations)
        context = await page.show(view)
        if isinstance(context, str):
            return web.Response(status=303, headers={"Location": view.url() + context})
        return await self._front.page(view, page, context)

    async def _export(self, page: Page, request: web.Request) -> web.StreamResponse:
        view = await self._view(request)
        return await view.table(page)

    async def _act(self, action: Action, request: web.Request) -> web.StreamResponse:
        view = await self._view(request, action.operations)
        view.form = await read_form(request)
        self._door.check(view, str(view.form.get("csrf", request.headers.get("X-CSRF", ""))))
        to = await action.run(view)
        if not isinstance(to, str):
            assert action.form is not None
            return await self._front.page(view, action.form, to, to.get("http_status", 422))
        return self._front.told(web.Response(status=303, headers={"Location": view.url() + to}), view.notice)

    async def _view(self, request: web.Request, operations: Sequence[str] = ()) -> View:
        """Returns the view of the request.

        Raises RequestProblem: 401 without a session or a valid token, 403 if the role does not grant the first of the operations.
        """
        actor, session = await self._door.who(request)
        view = View(
            request,
            actor,
            session=session,
            sessions=self.sessions,
            operations=self._operations,
            root=self._place.root,
            places=self._front.places,
        )
        request[VIEW] = view
        for name in operations[:1]:
            self._operations.demand(actor, name)
        return view

    async def _view_if_any(self, request: web.Request) -> View | None:
        try:
            return await self._view(request)
        except (RequestProblem, HistoryUnavailable):
            return None

    async def _refused(self, request: web.Request, error: Exception) -> web.StreamResponse:
        view = request.get(VIEW) or await self._view_if_any(request)
        if isinstance(error, Refused):
            answer = error.answer
            return await self._front.problem(request, view, answer.status, answer.document, answer.headers)
        if isinstance(error, RequestProblem) and error.status == 401:
            return self._door.send_to_login(request)
        shown = problem_of(request, error)
        document = _document(shown)
        return await self._front.problem(request, view, shown.status, document, shown.headers)


VIEW = web.RequestKey("view", View)


def _document(shown: web.Response) -> Mapping[str, Any]:
    import json

    return dict(json.loads(shown.text or "{}"))


async def _static(request: web.Request) -> web.Response:
    for asset in assets().values():
        if asset.name == request.match_info["name"]:
            return asset.response(request)
    raise NotFound
