"""Parameters of the admin API: what is wrong with them is told by name, and all of it at once."""

import re
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from aiohttp import web
from pydantic import Field, WithJsonSchema

from bridge.core.delivery import Status
from bridge.core.records import Beyond, Page
from bridge.formats.text import MAX_ID, event_type
from bridge.http.operation import Parameter
from bridge.http.problem import Refused
from bridge.measuring.spans import moment
from bridge.settings.shape import nearest

T = TypeVar("T")

Span = tuple[float | None, float | None]
"""From when until before when, in Unix seconds; None: no bound."""

DEFAULT_LIMIT = 50
MOST = 200
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,67}")
_STATUSES = ", ".join(Status)


def invalid(faults: Iterable[tuple[str, str]], status: int = 400) -> Refused:
    """The problem for parameters that are wrong: name and reason of each."""
    told = [{"name": name, "reason": reason} for name, reason in faults]
    detail = "; ".join(
        f"{fault['name']}: {fault['reason']}" if fault["name"] else fault["reason"] for fault in told
    )
    return Refused(status, detail, members={"invalid-params": told})


class Parameters:
    """Those in the query of one request. Read them all, then `check`."""

    def __init__(self, request: web.Request, known: Iterable[str] = ()) -> None:
        """`known`: the names that may be there."""
        self._query = request.rel_url.query
        names = list(known)
        self._unknown: list[tuple[str, str]] = []
        self._faults = [
            (name, f"unknown parameter{nearest(name, names) or '; there are none here'}")
            for name in dict.fromkeys(self._query)
            if name not in names
        ]

    def check(self) -> None:
        """Raises Refused, with all that is wrong, where anything is: 422 where it is well written but nobody's name."""
        if self._faults or self._unknown:
            raise invalid([*self._faults, *self._unknown], 400 if self._faults else 422)

    def wrong(self, name: str, reason: str) -> None:
        """Keep what is wrong with a parameter for `check`."""
        self._faults.append((name, reason))

    def unknown(self, name: str, reason: str) -> None:
        """Keep for `check` that nothing is called so, or nothing can be within."""
        self._unknown.append((name, reason))

    def has(self, name: str) -> bool:
        """Whether it is given, rightly or not."""
        return name in self._query

    def text(self, name: str) -> str | None:
        """Any text of up to 512 characters."""
        return self._one(name, _any_text)

    def name(self, name: str) -> str | None:
        """The name of a hook or source."""
        return self._one(name, _name)

    def event_type(self, name: str) -> str | None:
        """An event type, whole."""
        return self._one(name, _event_type)

    def uuid(self, name: str) -> str | None:
        """An id of ours."""
        return self._one(name, _uuid)

    def span(self, since: str = "from", until: str | None = "to") -> Span:
        """The span from one parameter until before the other, in Unix seconds; dates are whole days, in UTC."""
        now = time.time()
        begin = self._one(since, partial(moment, now=now))
        end = None if until is None else self._one(until, partial(moment, now=now, end=True))
        if begin is not None and end is not None and begin >= end:
            self.unknown(until or since, f"must be after `{since}`: there is nothing between")
        return begin, end

    def flag(self, name: str) -> bool:
        """`true` or `false`; false where it is absent."""
        return bool(self._one(name, _flag))

    def word(self, name: str, known: Sequence[str]) -> str | None:
        """One of the known words."""
        text = self._one(name, _any_text)
        if text is None or text in known:
            return text
        hint = nearest(text, known) if len(known) > 2 else ""
        self.wrong(name, f"must be {', '.join(known[:-1])} or {known[-1]}{hint if '?' in hint else ''}")
        return None

    def read(self, name: str, read: Callable[[str], T]) -> T | None:
        """What `read` makes of it; its ValueError says what is wrong."""
        return self._one(name, read)

    def all(self, name: str) -> Sequence[str]:
        """Every value that is given, in order."""
        return self._query.getall(name, [])

    def limit(self, usual: int = DEFAULT_LIMIT) -> int:
        """How many items a page may have."""
        return self._one("limit", _limit) or usual

    def cursor(self) -> str | None:
        """Where the page begins, as the page before told."""
        return self._one("cursor", _any_text)

    def statuses(self, name: str) -> frozenset[Status]:
        """Any number of them, each in a parameter of its own or with commas between them."""
        words = [word for text in self._query.getall(name, []) for word in text.split(",")]
        unknown = [word for word in words if word not in Status.__members__]
        if "" in unknown:
            self.wrong(name, "is empty")
        elif unknown:
            hint = nearest(unknown[0].upper(), list(Status))
            self.unknown(
                name, f"{unknown[0][:60]!r} is no status; there are {_STATUSES}{hint if '?' in hint else ''}"
            )
        return frozenset(Status(word) for word in words if word in Status.__members__)

    def _one(self, name: str, read: Callable[[str], T]) -> T | None:
        given = self._query.getall(name, [])
        if not given:
            return None
        if len(given) > 1:
            self.wrong(name, "is given more than once")
            return None
        try:
            return read(given[0])
        except ValueError as error:
            self.wrong(name, str(error))
            return None


def is_id(text: str) -> bool:
    """Whether it is a UUID as ours are written, in whatever case."""
    return _UUID.fullmatch(text) is not None


def path_id(request: web.Request) -> str:
    """The id in the path; raises Refused (404) for what cannot be one of ours."""
    given = request.match_info["id"]
    if not is_id(given):
        raise not_found(request)
    return given.lower()


def not_found(request: web.Request) -> Refused:
    """There is nothing with this id."""
    return Refused(404, f"there is nothing at {request.path}")


def no_hook(request: web.Request, hint: str) -> Refused:
    """No hook has the name or id in the path; `hint` offers the nearest."""
    return Refused(404, f"there is nothing at {request.path}: no hook has this name or id{hint}")


def _filled(text: str) -> str:
    if not text:
        raise ValueError("is empty")
    return text


def _any_text(text: str) -> str:
    if len(_filled(text)) > MAX_ID:
        raise ValueError(f"has more than {MAX_ID} characters")
    return text


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("must be a name of letters, digits, - and _")
    return text


def _event_type(text: str) -> str:
    if event_type(_filled(text)) != text:
        raise ValueError("no event has such a type: at most 255 bytes, without control characters")
    return text


def _uuid(text: str) -> str:
    if not _UUID.fullmatch(text):
        raise ValueError("must be a UUID")
    return str(UUID(text))


def _flag(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError("must be true or false")
    return text == "true"


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and 1 <= int(text) <= MOST):
        raise ValueError(f"must be a whole number from 1 to {MOST}")
    return int(text)


# Parameters that many operations have, as the description of the API tells them.
# What stands here is what `Parameters` (api_parameters.py) takes, said as a type.


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,67}$")]
# By bytes it is at most 255 of them: of the longest characters a quarter.
EventType = Annotated[
    str, WithJsonSchema({"type": "string", "pattern": r"^([!-~]([ -~]{0,253}[!-~])?|[¡-퟿]{1,63})$"})
]
Text = Annotated[str, Field(min_length=1, max_length=MAX_ID)]
Uuid = Annotated[str, WithJsonSchema({"type": "string", "format": "uuid"})]
When = Annotated[
    str,
    WithJsonSchema(
        {"type": "string", "maxLength": 64, "examples": ["-7d", "2025-05-05", "2025-05-05T07:08:09Z"]}
    ),
]

LIMIT = Parameter(
    "limit",
    Annotated[
        int,
        WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_LIMIT}),
    ],
    "How many items the page may have.",
)
CURSOR = Parameter("cursor", Text, "Where the page begins: `next` of the page before, with the same filters.")
PAGE = (LIMIT, CURSOR)
"""The parameters of every list."""

HOW = "RFC 3339, a date, now, today, yesterday, or so long ago, such as 7d, -7d or 24h; all in UTC"
FROM = Parameter("from", When, f"From this moment on: {HOW}.")
TO = Parameter("to", When, f"Before this moment: {HOW}; of a date its end.")
SPAN = (FROM, TO)
COUNT = Parameter("count", bool, "true: `more` tells how many entries come behind this page, up to 1,000.")

EVENT_TYPE = Parameter("type", EventType, "The event type, whole.")
HOOK = Parameter("hook", Name, "Id or name of a hook.")
SOURCE = Parameter("source", Name, "Name of a source.")
STATUSES = Parameter(
    "status", list[Status], "One status or several: the parameter repeated, or with commas between them."
)


def text(name: str, description: str) -> Parameter:
    """Any text of up to 512 characters."""
    return Parameter(name, Text, description)


def uuid(name: str, description: str) -> Parameter:
    """An id of ours."""
    return Parameter(name, Uuid, description)


def flag(name: str, description: str) -> Parameter:
    """`true` or `false`; false where it is absent."""
    return Parameter(name, bool, description)


def one_of(name: str, words: tuple[str, ...], description: str) -> Parameter:
    """One of these words."""
    kind: Any = Literal[words]
    return Parameter(name, kind, description)


# One page of a list, as the parameters of a request ask for it.


P = TypeVar("P")
"""A page of any kind."""

PAGED = ("limit", "cursor")
"""The parameters of every list."""
COUNTED = (*PAGED, "count")
"""Those of a list that tells how much there is behind a page."""


async def read_page(given: Parameters, read: Callable[..., Awaitable[P]]) -> P:
    """What `read` gives for `after` and `limit`; raises Refused for parameters that are wrong."""
    limit, cursor = given.limit(), given.cursor()
    given.check()
    try:
        return await read(after=cursor, limit=limit)
    except ValueError as error:
        raise invalid([("cursor", "is none of those that this list gave as `next`")]) from error


async def counted_page(
    given: Parameters, read: Callable[..., Awaitable[Page[T]]], beyond: Callable[..., Awaitable[Beyond]]
) -> tuple[Page[T], Beyond | None]:
    """The page, and where that is asked for what `beyond` counts behind it."""
    counts = given.flag("count")
    found = await read_page(given, read)
    if not counts:
        return found, None
    return found, Beyond(0, exact=True) if found.next is None else await beyond(after=found.next)
