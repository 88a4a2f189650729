"""Routes of inlets: any method, and paths as they were sent."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from aiohttp import HttpVersion11, web
from yarl import URL

from bridge.rules.inlets.paths import PathTable

Handle = Callable[[web.Request, str, str], Awaitable[web.StreamResponse]]
"""Answers a request to the inlet of this name, whose path is followed by that text."""
Judge = Callable[[web.Request, str], web.Response | None]
"""Refuses a request by its headers, before its body is asked for."""


class InletRoutes(web.AbstractRouteDef):
    """All inlets as one route, which is asked last: the bridge's own paths come first."""

    def __init__(self, paths: PathTable, handle: Handle, judge: Judge) -> None:
        self._paths = paths
        self._handle = handle
        self._judge = judge

    def register(self, router: web.UrlDispatcher) -> list[web.AbstractRoute]:
        resource = _InletResource(self._paths, self._handle, self._judge)
        router.register_resource(resource)
        return list(resource)


class _InletResource(web.AbstractResource):
    """aiohttp's own resources compare decoded paths and know their methods beforehand."""

    def __init__(self, paths: PathTable, handle: Handle, judge: Judge) -> None:
        super().__init__()
        self._paths = paths
        self._judge = judge
        self._handle = handle
        self._route = web.ResourceRoute("*", self._answer, self, expect_handler=self._expect)

    @property
    def canonical(self) -> str:
        """Where the router looks for it: below `/` is everything."""
        return "/"

    async def resolve(self, request: web.Request) -> tuple[web.UrlMappingMatchInfo | None, set[str]]:
        found = self._paths.find(request.rel_url.raw_path)
        if found is None:
            return None, set()
        return web.UrlMappingMatchInfo({"inlet": found[0], "rest": found[1]}, self._route), set()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        return await self._handle(request, request.match_info["inlet"], request.match_info["rest"])

    async def _expect(self, request: web.Request) -> web.StreamResponse | None:
        """Ask for the body of `Expect: 100-continue` only where it has a chance."""
        if refusal := self._judge(request, request.match_info["inlet"]):
            return refusal
        if request.version == HttpVersion11 and request.headers["Expect"].lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # the answer itself has not begun
        return None

    def url_for(self, **_: str) -> URL:
        raise RuntimeError("inlets have several paths: no one URL leads to them")

    def add_prefix(self, prefix: str) -> None:
        raise RuntimeError(f"inlets answer where the settings say, never below {prefix}")

    def get_info(self) -> Any:
        return {"path": "/"}

    def raw_match(self, path: str) -> bool:
        return path == "/"

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[web.AbstractRoute]:
        return iter((self._route,))
