"""A browser without scripts: the UI over HTTP, with its cookies."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bridge.history.history import SqlHistory
from tests.support.api_server import TOKEN, ServedApi, serving_api
from tests.support.chromium import Watched

CRM = {"name": "crm", "events": ["customers.*"], "target": {"type": "webhook", "url": "https://crm.test/in"}}


@dataclass
class Shown:
    """A page."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def csrf(self) -> str:
        """The token of its forms."""
        found = re.search(r'"X-CSRF":"([^"]+)"', self.text.replace("&#34;", '"'))
        assert found, self.text[:500]
        return found[1]


@dataclass
class Browser:
    """Asks for pages of the UI; redirects are not followed."""

    api: ServedApi
    session: aiohttp.ClientSession
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.api.client.url

    async def get(self, path: str, **headers: str) -> Shown:
        return await self._ask("GET", path, headers)

    async def part(self, path: str, **form: str) -> Shown:
        headers = {"Origin": self.url, "HX-Request-Type": "partial"}
        return await self._ask("POST", path, headers, data=form)

    async def post(self, path: str, *, origin: str | None = "", **form: str | list[str]) -> Shown:
        headers = {} if origin is None else {"Origin": origin or self.url}
        fields = [(k, v) for k, given in form.items() for v in ([given] if isinstance(given, str) else given)]
        return await self._ask("POST", path, headers, data=aiohttp.FormData(fields))

    async def login(self, token: str = TOKEN) -> Shown:
        return await self.post("login", token=token)

    async def _ask(self, method: str, path: str, headers: Mapping[str, str], **more: Any) -> Shown:
        cookie = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())} if self.cookies else {}
        async with self.session.request(
            method, f"{self.url}/ui/{path}", headers={**headers, **cookie}, allow_redirects=False, **more
        ) as answer:
            for name, morsel in answer.cookies.items():
                self.cookies[name] = morsel.value
                if morsel["max-age"] == "0":
                    del self.cookies[name]
            return Shown(answer.status, answer.headers, await answer.text())


@asynccontextmanager
async def browsing(
    history: SqlHistory, *entries: Any, hooks: Sequence[Mapping[str, Any]] = (CRM,), **given: Any
) -> AsyncIterator[Browser]:
    """A browser that is not logged in yet, over a history with these entries."""
    assert await history.commit(entries) == []
    jar = aiohttp.DummyCookieJar()
    async with (
        serving_api(history, hooks, ui=True, **given) as api,
        aiohttp.ClientSession(cookie_jar=jar) as session,
    ):
        yield Browser(api, session)


async def log_in(seen: Watched) -> None:
    """Logs in at the form that a page led to."""
    await seen.page.fill("input[name=token]", TOKEN)
    await seen.page.click("form.login button")
    await seen.page.wait_for_selector("nav.side")
