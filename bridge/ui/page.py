"""Pages and actions as values, and the View with which their functions ask the API.

To add a page: a module in `pages/` with its function and its Page, and a template. See CONTRIBUTING.md.
"""

import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote

from aiohttp import web
from multidict import MultiDict, MultiDictProxy
from yarl import URL

from bridge.core.access import Actor
from bridge.http.handling import Answer
from bridge.http.in_process import Asked, Operations, Unanswered
from bridge.ui.guard import HEADERS
from bridge.ui.session import Session, Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of the UI."""

    path: str
    """The path below /ui/, with `{id}` for ids and names."""
    section: str
    """The entry of the navigation that it belongs to."""
    template: str
    """The template below `templates/`, which extends `layout`."""
    show: Callable[["View"], Awaitable[str | Mapping[str, Any]]]
    """Returns what the template needs, in which `template` names another one; or the path below /ui/ to go to."""
    operations: Sequence[str]
    """The operations that the function calls; who may not call the first is not shown a link to the page."""
    topics: Sequence[str] = ()
    """The topics of the live stream (see `live`) that change this page: its elements with `id` and `data-live` are renewed."""
    command: str = ""
    """The command that shows the same, such as `deliveries list`; `{id}` stands for the id of the path."""
    options: Mapping[str, str] = field(default_factory=dict)
    """The options of the command by the parameters of the page."""
    export: str = ""
    """The operation of the list that the page has as CSV, at its path with `.csv` behind it, filtered by `options`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A form that changes something: a POST, answered with a redirect."""

    path: str
    run: Callable[["View"], Awaitable[str | Mapping[str, Any]]]
    """Returns the path below /ui/ to go to, or what the template of `form` needs to show faults in the form, or a result;
    `http_status` is that of the page, by default 422."""
    operations: Sequence[str]
    form: Page | None = None
    """The page with the form, if its faults are shown there."""


Refused = Unanswered
"""The API refused a call of a page; the page is a problem."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of a list; `faults` has the reasons of invalid filters by their names, and then there are no items."""

    items: Sequence[Any] = ()
    next: str | None = None
    more: Mapping[str, Any] | None = None
    faults: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""
    """What is wrong that belongs to no filter."""


class View:
    """A request for a page: who asks, the parameters of its URL, and calls of the API."""

    def __init__(
        self,
        request: web.Request,
        actor: Actor,
        *,
        session: Session,
        sessions: Sessions,
        operations: Operations,
        root: str,
        places: frozenset[str],
    ) -> None:
        self.request = request
        self.actor = actor
        self.root = root
        self._places = places
        self._session = session
        self._sessions = sessions
        self._operations = operations
        self.form: MultiDictProxy[Any] = MultiDictProxy(MultiDict())
        """The fields of a form; empty if the request is no POST."""
        self.notice = ""
        """What an action has to tell on the page that it leads to."""
        self.calls: list[str] = []
        """The requests to the API that show the same, for the footer."""

    @property
    def id(self) -> str:
        """Returns the id or name in the path."""
        return self.request.match_info.get("id", "")

    @property
    def query(self) -> MultiDictProxy[str]:
        """Returns the parameters of the URL."""
        return self.request.rel_url.query

    @cached_property
    def csrf(self) -> str:
        """Returns the token of this answer's forms."""
        return self._sessions.csrf(self._session)

    def is_own_form(self, csrf: str) -> bool:
        """Returns whether a form with this token was made for the session of this request."""
        return self._sessions.is_csrf(self._session, csrf)

    @property
    def partial(self) -> bool:
        """Returns whether a script wants the content without its frame."""
        return self.request.headers.get("HX-Request-Type") == "partial"

    def may(self, name: str) -> bool:
        """Returns whether the operation exists and the actor's role grants it."""
        return self._operations.may(self.actor, name)

    def has(self, path: str) -> bool:
        """Returns whether there is such a page or action, such as `hooks/{id}`."""
        return path in self._places

    async def ask(
        self,
        name: str,
        *,
        query: Asked | None = None,
        body: Any = None,
        id: str = "",  # noqa: A002 -- as in paths
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Returns the answer of an operation of the API, whatever its status."""
        method, url = self._operations.url(name, query or {}, id)
        self.calls.append(f"{method} {url}")
        return await self._operations.call(
            name, self.actor, self.request, query=query, body=body, which=id, headers=headers
        )

    async def call(self, name: str, **given: Any) -> Any:
        """Returns the document of an operation, as `ask` calls it; raises Refused for a problem."""
        answer = await self.ask(name, **given)
        if not answer.ok:
            raise Refused(answer)
        return answer.document

    async def list(self, name: str, filters: Sequence[str], **fixed: str) -> Listing:
        """Returns a page of a list, filtered by the parameters of the URL with these names; `fixed` are further ones."""
        asked: dict[str, str | list[str]] = dict(fixed)
        for each in (*filters, "cursor"):
            values = [value for value in self.query.getall(each, []) if value]
            if values:
                asked[each] = values[0] if len(values) == 1 else values
        answer = await self.ask(name, query=asked)
        if answer.status in (400, 422):
            told = answer.document.get("invalid-params", [])
            faults = {each["name"]: each["reason"] for each in told}
            return Listing(
                faults=faults, detail="" if faults.keys() <= {*filters} else answer.document["detail"]
            )
        if not answer.ok:
            raise Refused(answer)
        return Listing(answer.document["items"], answer.document["next"], answer.document.get("more"))

    async def table(self, page: Page) -> web.StreamResponse:
        """Sends the list of the page as CSV."""
        names = [name for name in page.options if self.query.get(name)]
        query = {name: [value for value in self.query.getall(name) if value] for name in names}
        return await self._operations.table(page.export, self.actor, self.request, query, HEADERS)

    def url(self, path: str = "", **query: str | None) -> str:
        """Returns the path of a page; parameters that are None or empty are left out."""
        made = URL.build(path=f"{self.root}/").raw_path + "/".join(
            quote(part, "") for part in path.split("/")
        )
        return str(URL(made, encoded=True).with_query({k: v for k, v in query.items() if v} or None))

    @staticmethod
    def below(path: str, **query: str) -> str:
        """Returns a path below /ui/ with parameters, as actions and pages return it to go there."""
        return str(URL.build(path=path).with_query(query))

    def here(self, **changed: str | None) -> str:
        """Returns the URL of this page with changed parameters; None removes one."""
        query = MultiDict((k, v) for k, v in self.query.items() if k not in changed and v)
        query.extend({k: v for k, v in changed.items() if v})
        own = self.root + self.request.path.removeprefix("/ui")
        return str(URL.build(path=own).with_query(query or None))

    @property
    def back(self) -> str:
        """Returns the path and query of this page below the root, to come back to."""
        path = self.request.path.removeprefix("/ui").removeprefix("/")
        query = self.request.rel_url.raw_query_string
        return f"{path}?{query}" if query else path

    @staticmethod
    def back_to(given: str, section: str) -> str:
        """Returns where an action leads back to: the path and query of a form, if they are of this section."""
        same = (
            given.partition("?")[0].partition("/")[0] == section and given.isprintable() and "\\" not in given
        )
        return given if same else section

    def many(self, verb: str, names: Sequence[str]) -> str:
        """Returns the URL that asks before this is done to all deliveries that the filters of this page ask for."""
        given = {
            name: ",".join(self.query.getall(name))
            for name in names
            if name != "order" and self.query.get(name)
        }
        return self.url("deliveries/many", do=verb, **given)

    def filtered(self, names: Sequence[str]) -> bool:
        """Returns whether any of these parameters is given."""
        return any(self.query.get(name) for name in names)

    def command(self, page: Page) -> str:
        """Returns the command line that shows the same as the page."""
        if not page.command:
            return ""
        options = [
            f"{page.options[name]} {shlex.quote(value)}"
            for name, value in self.query.items()
            if name in page.options and value
        ]
        return " ".join(["amqp-bridge", page.command.replace("{id}", shlex.quote(self.id)), *options])
