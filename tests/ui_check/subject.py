"""The bridge that is checked: its API, its UI with and without a browser."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from playwright.async_api import Browser, Page

from tests.support.bridge_process import BridgeProcess
from tests.support.scene import Scene

PREFIX = "ui-check"
COOKIE = "bridge_session"
WATCH = """
window.violations = []; window.ran = 0;
window.uiCheckRan = () => { window.ran += 1; };
document.addEventListener('securitypolicyviolation', event => window.violations.push(
  event.violatedDirective + ' ' + event.blockedURI));
"""
MOST_SECONDS = 15_000
"""Milliseconds that a browser waits for anything."""


@dataclass
class Shown:
    """A page as HTTP gave it."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def csrf(self) -> str:
        """The token of its forms, empty if it has none."""
        found = re.search(r'"X-CSRF":"([^"]+)"', self.text.replace("&#34;", '"'))
        return found[1] if found else ""


@dataclass
class Person:
    """Somebody with a session of the UI, without a browser; redirects are not followed."""

    http: aiohttp.ClientSession
    url: str
    cookie: str = ""

    async def get(self, path: str, **headers: str) -> Shown:
        """The page at a path below /ui/."""
        return await self._ask("GET", path, headers)

    async def post(self, path: str, form: Mapping[str, str], *, origin: str | None = "") -> Shown:
        """What a form leads to; `origin` None sends none."""
        headers = {} if origin is None else {"Origin": origin or self.url}
        return await self._ask("POST", path, headers, data=dict(form))

    async def log_in(self, token: str) -> Shown:
        """Logs in."""
        return await self.post("login", {"token": token})

    async def _ask(self, method: str, path: str, headers: Mapping[str, str], **more: Any) -> Shown:
        cookie = {"Cookie": f"{COOKIE}={self.cookie}"} if self.cookie else {}
        async with self.http.request(
            method, f"{self.url}/ui/{path}", headers={**headers, **cookie}, allow_redirects=False, **more
        ) as answer:
            if COOKIE in answer.cookies:
                self.cookie = answer.cookies[COOKIE].value
            return Shown(answer.status, answer.headers, await answer.text(errors="replace"))


class Watched:
    """A page of the browser, and what it complained about."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("console", lambda told: self.errors.append(told.text) if told.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", self._dialog)

    async def _dialog(self, dialog: Any) -> None:
        self.errors.append(f"dialog {dialog.message}")
        await dialog.dismiss()


@dataclass
class Subject:
    """The bridge, its token, a browser, and what was seeded."""

    url: str
    token: str
    http: aiohttp.ClientSession
    browser: Browser
    scene: Scene | None = None
    bridge: BridgeProcess | None = None
    quick: bool = False
    source: str = ""
    """The queue of our own source."""
    seeded: dict[str, Any] = field(default_factory=dict)

    async def api(self, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
        """Status and document of the API."""
        data = None if body is None else json.dumps(body).encode()
        async with self.http.request(
            method,
            f"{self.url}/api/v1{path}",
            data=data,
            headers={"Authorization": f"Bearer {token or self.token}"},
        ) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def get(self, path: str) -> Any:
        """A document of the API that must be there."""
        status, document = await self.api("GET", path)
        assert status == 200, f"GET {path}: {status} {document}"
        return document

    async def described(self) -> Any:
        """The description of the API."""
        async with self.http.get(f"{self.url}/openapi.json") as answer:
            return await answer.json()

    async def items(self, path: str) -> list[dict[str, Any]]:
        """The items of a list of the API."""
        found: list[dict[str, Any]] = (await self.get(path))["items"]
        return found

    async def person(self, role: str = "") -> Person:
        """Somebody with this role who is logged in, an admin by default."""
        person = Person(self.http, self.url)
        entered = await person.log_in(self.seeded["tokens"][role] if role else self.token)
        assert entered.status == 303, f"login as {role or 'admin'}: {entered.status}"
        return person

    @asynccontextmanager
    async def page(self, role: str = "", **context: Any) -> AsyncIterator[Watched]:
        """A page of a new context that is logged in; it shows nothing yet."""
        person = await self.person(role)
        opened = await self.browser.new_context(
            **{"viewport": {"width": 1280, "height": 900}, "color_scheme": "light", **context}
        )
        opened.set_default_timeout(MOST_SECONDS)
        try:
            await opened.add_cookies([{"name": COOKIE, "value": person.cookie, "url": f"{self.url}/ui"}])
            page = await opened.new_page()
            await page.add_init_script(WATCH)
            yield Watched(page)
        finally:
            await opened.close()

    def at(self, path: str) -> str:
        """The URL of a path below /ui/."""
        return f"{self.url}/ui/{path}"
