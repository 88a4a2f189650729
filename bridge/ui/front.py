"""Makes responses of templates: the frame around pages, the login, problems."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from aiohttp import web

from bridge.http.documents import REQUEST_ID
from bridge.http.in_process import Operations
from bridge.ui.guard import Place
from bridge.ui.page import Action, Page, View

_PACKED_FROM = 1000
_NOTICE = "bridge_notice"
_MOST_NOTICE = 500


class Entry(NamedTuple):
    """An entry of the navigation."""

    section: str
    phone: bool
    """Whether the bar of the phone has it."""
    key: str
    """The key that leads there after `g`."""


NAVIGATION = (
    Entry("now", True, "n"),
    Entry("deliveries", True, "d"),
    Entry("events", False, "e"),
    Entry("hooks", True, "h"),
    Entry("quarantine", True, "q"),
    Entry("replays", False, "r"),
    Entry("sources", False, "o"),
    Entry("statistics", False, "s"),
    Entry("audit", False, "a"),
    Entry("system", False, "y"),
)


class Front:
    """Renders pages; templates are compiled at the first one."""

    def __init__(
        self, pages: Sequence[Page], actions: Sequence[Action], operations: Operations, place: Place
    ) -> None:
        self._operations = operations
        self._place = place
        self.places = frozenset(page.path for page in pages) | frozenset(action.path for action in actions)
        self._first: dict[str, Page] = {}
        for page in pages:
            self._first.setdefault(page.section, page)
        self._compiled: set[str] = set()

    async def page(
        self, view: View, page: Page, context: Mapping[str, Any], status: int = 200
    ) -> web.Response:
        """Returns a page in its frame, or without if a script wants a part."""
        shared = self._shared(view.request) | {
            "view": view,
            "page": page,
            "section": page.section,
            "navigation": self._navigation(view),
            "layout": "fragment.html" if view.partial else "frame.html",
            "notice": unquote(view.request.cookies.get(_NOTICE, ""))[:_MOST_NOTICE],
        }
        template = context.get("template", page.template)
        response = await self._rendered(view.request, template, {**shared, **context}, status)
        if shared["notice"] and not view.partial:
            response.del_cookie(_NOTICE, path=self._place.root)
        return response

    def told(self, response: web.Response, notice: str) -> web.Response:
        """Returns the redirect of an action, with what the next page has to tell."""
        if notice:
            response.set_cookie(
                _NOTICE,
                quote(notice[:_MOST_NOTICE], safe=""),
                max_age=60,
                path=self._place.root,
                httponly=True,
                samesite="Lax",
                secure=self._place.secure,
            )
        return response

    async def problem(
        self,
        request: web.Request,
        view: View | None,
        status: int,
        document: Mapping[str, Any],
        headers: Mapping[str, str],
    ) -> web.Response:
        """Returns a page that says what went wrong; `document` is the problem of the API."""
        layout = "bare.html" if view is None else "fragment.html" if view.partial else "frame.html"
        context = self._shared(request) | {
            "view": view,
            "page": None,
            "section": "",
            "navigation": [] if view is None else self._navigation(view),
            "layout": layout,
            "notice": "",
            "status": status,
            "title": HTTPStatus(status).phrase,
            "detail": document.get("detail", ""),
            "retry_after": headers.get("Retry-After", ""),
        }
        response = await self._rendered(request, "problem.html", context, status)
        response.headers.update({k: v for k, v in headers.items() if k in {"Retry-After", "Allow"}})
        return response

    async def login(
        self,
        request: web.Request,
        *,
        back: str,
        once: str = "",
        spent: bool = False,
        status: int = 200,
        detail: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> web.Response:
        """Returns the login; `once` is the secret of a valid login link, `spent` says that it is not valid any more."""
        told = dict(headers or {})
        context = self._shared(request) | {
            "layout": "bare.html",
            "back": back,
            "once": once,
            "spent": spent,
            "detail": detail,
            "retry_after": told.get("Retry-After", ""),
        }
        response = await self._rendered(request, "login.html", context, status)
        response.headers.update({k: v for k, v in told.items() if k == "Retry-After"})
        return response

    def _shared(self, request: web.Request) -> dict[str, Any]:
        cookies = request.cookies
        return {
            "root": self._place.root,
            "places": self.places,
            "request_id": request[REQUEST_ID],
            "keys": cookies.get("keys") != "off",
            "theme": cookies.get("theme") if cookies.get("theme") in {"light", "dark"} else "",
            "density": cookies.get("density") if cookies.get("density") in {"compact", "roomy"} else "",
        }

    def _navigation(self, view: View) -> list[tuple[Entry, str]]:
        return [
            (entry, page.path)
            for entry in NAVIGATION
            if (page := self._first.get(entry.section))
            and (not page.operations or view.may(page.operations[0]))
        ]

    async def _rendered(
        self, request: web.Request, template: str, context: Mapping[str, Any], status: int = 200
    ) -> web.Response:
        from bridge.ui.render import LANGUAGES, compile_all, render

        wanted = request.cookies.get("language", "")
        language = wanted if wanted in LANGUAGES else LANGUAGES[0]
        if language not in self._compiled:
            await asyncio.to_thread(compile_all, language)
            self._compiled.add(language)
        started = time.perf_counter()
        text = render(template, language, context)
        response = web.Response(text=text, status=status, content_type="text/html", charset="utf-8")
        response.headers["Server-Timing"] = f"render;dur={(time.perf_counter() - started) * 1000:.1f}"
        response.headers["Vary"] = "HX-Request-Type, Cookie"
        if len(text) > _PACKED_FROM:
            response.enable_compression()
        return response
