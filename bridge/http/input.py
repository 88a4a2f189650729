"""The parameters of the admin API: each is described and parsed in one place; a problem lists all invalid ones."""

import re
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar, overload

from aiohttp import web
from pydantic import Field, WithJsonSchema

from bridge.core.delivery import Fault, Status
from bridge.core.records import Beyond, Page
from bridge.formats.text import MAX_ID, event_type
from bridge.http.documents import RequestProblem
from bridge.measuring.spans import moment
from bridge.settings.shape import nearest

T = TypeVar("T")

Span = tuple[float | None, float | None]
"""The inclusive start and the exclusive end in Unix seconds; None: no bound."""

DEFAULT_LIMIT = 50
MOST = 200
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,67}")
_STATUSES = ", ".join(Status)


def invalid(faults: Iterable[tuple[str, str]], status: int = 400) -> RequestProblem:
    """Returns the problem for invalid parameters: name and reason of each."""
    told = [{"name": name, "reason": reason} for name, reason in faults]
    detail = "; ".join(
        f"{fault['name']}: {fault['reason']}" if fault["name"] else fault["reason"] for fault in told
    )
    return RequestProblem(status, detail, members={"invalid-params": told})


class Parameters:
    """The parameters of one request: parses each, and keeps the invalid ones for `check`."""

    def __init__(self, request: web.Request, known: Iterable[str] = ()) -> None:
        """`known` are the names of parameters that are allowed."""
        self._query = request.rel_url.query
        self.headers = request.headers
        names = list(known)
        self._unknown: list[tuple[str, str]] = []
        self._faults = [
            (name, f"unknown parameter{nearest(name, names) or '; there are none here'}")
            for name in dict.fromkeys(self._query)
            if name not in names
        ]

    def check(self) -> None:
        """Raises RequestProblem with all problems if there are any: 422 if parameters are well-formed but name unknown things."""
        if self._faults or self._unknown:
            raise invalid([*self._faults, *self._unknown], 400 if self._faults else 422)

    def wrong(self, name: str, reason: str) -> None:
        """Adds the problem of an invalid parameter for `check`."""
        self._faults.append((name, reason))

    def unknown(self, name: str, reason: str) -> None:
        """Adds the problem of a parameter that names an unknown thing, or selects nothing, for `check`."""
        self._unknown.append((name, reason))

    def has(self, name: str) -> bool:
        """Returns whether the parameter is given, valid or not."""
        return name in self._query

    def span(self, since: str = "from", until: str | None = "to") -> Span:
        """Returns the span from one parameter (inclusive) to the other (exclusive), in Unix seconds; dates are UTC."""
        now = time.time()
        begin = self.read(since, partial(moment, now=now))
        end = None if until is None else self.read(until, partial(moment, now=now, end=True))
        if begin is not None and end is not None and begin >= end:
            self.unknown(until or since, f"must be after `{since}`: there is nothing between")
        return begin, end

    def word(self, name: str, known: Sequence[str]) -> str | None:
        """Returns one of the known words."""
        text = self.read(name, any_text)
        if text is None or text in known:
            return text
        hint = nearest(text, known) if len(known) > 2 else ""
        self.wrong(name, f"must be {', '.join(known[:-1])} or {known[-1]}{hint if '?' in hint else ''}")
        return None

    def all(self, name: str) -> Sequence[str]:
        """Returns every value that is given, in order."""
        return self._query.getall(name, [])

    def statuses(self, name: str) -> frozenset[Status]:
        """Returns the statuses given in repeated parameters, or separated by commas."""
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

    def read(self, name: str, read: Callable[[str], T]) -> T | None:
        """Returns the result of `read` for the parameter; the text of its ValueError becomes the problem."""
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


OUTCOMES = ("delivered", *map(str, Fault))
"""The outcomes of attempts."""


def is_id(text: str) -> bool:
    """Returns whether the text is a UUID in its canonical form, in upper or lower case."""
    return _UUID.fullmatch(text) is not None


def _filled(text: str) -> str:
    if not text:
        raise ValueError("is empty")
    return text


def any_text(text: str) -> str:
    """Returns a text of up to 512 characters."""
    if len(_filled(text)) > MAX_ID:
        raise ValueError(f"has more than {MAX_ID} characters")
    return text


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("must be a name of letters, digits, - and _")
    return text


def event_type_of(text: str) -> str:
    """Returns the text; ValueError if no event has such a type."""
    if event_type(_filled(text)) != text:
        raise ValueError("no event has such a type: at most 255 bytes, without control characters")
    return text


def _uuid(text: str) -> str:
    if not is_id(text):
        raise ValueError("must be a UUID")
    return text.lower()


def _flag(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError("must be true or false")
    return text == "true"


def _code(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,5}", text):
        raise ValueError("must be a whole number, an HTTP status or exit code")
    return int(text)


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and 1 <= int(text) <= MOST):
        raise ValueError(f"must be a whole number from 1 to {MOST}")
    return int(text)


# The query of an operation, declared parameter by parameter.


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query, or a header, as the OpenAPI document describes it."""

    name: str
    type: Any
    """A type from which pydantic makes a JSON Schema."""
    description: str
    where: Literal["query", "header"] = "query"
    required: bool = False


class Given(Generic[T]):
    """An attribute of a Query: how parameters are parsed, and their descriptions."""

    def __init__(self, read: Callable[[Parameters], T], *parameters: Parameter) -> None:
        self.read = read
        self.parameters = parameters

    @overload
    def __get__(self, query: None, owner: type) -> "Given[T]": ...

    @overload
    def __get__(self, query: "Query", owner: type) -> T: ...

    def __get__(self, query: "Query | None", owner: type) -> "Given[T] | T":
        return self if query is None else query.value_of(self)


class Query:
    """The parameters of one request. A subclass declares them as class attributes, each a `Given`.

    With `looks_up=True` the operation looks up names before it calls `check`, so that one problem names all faults;
    for other queries the runner calls it.
    """

    parameters: ClassVar[tuple[Parameter, ...]] = ()
    looks_up: ClassVar[bool] = False
    _attributes: ClassVar[tuple[Given[Any], ...]] = ()

    def __init_subclass__(cls, *, looks_up: bool = False) -> None:
        cls.looks_up = looks_up
        found = [each for base in cls.__mro__ for each in vars(base).values() if isinstance(each, Given)]
        cls._attributes = tuple(dict.fromkeys(found))
        cls.parameters = tuple(parameter for each in cls._attributes for parameter in each.parameters)

    def __init__(self, request: web.Request) -> None:
        names = [each.name for each in self.parameters if each.where == "query"]
        given = Parameters(request, names)
        self._values = {each: each.read(given) for each in self._attributes}
        self.has, self.wrong, self.unknown, self.check = given.has, given.wrong, given.unknown, given.check

    def value_of(self, attribute: Given[T]) -> T:
        """Returns the parsed value of this attribute."""
        found: T = self._values[attribute]
        return found


# The parameters that many operations share.


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,67}$")]
# The bound is 255 bytes: of the longest characters a quarter.
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
HOW = "RFC 3339, a date, now, today, yesterday, or so long ago, such as 7d, -7d or 24h; all in UTC"


def at_most(usual: int, description: str) -> Given[int]:
    """Returns the parameter of the maximum number of items."""
    schema = {"type": "integer", "minimum": 1, "maximum": MOST, "default": usual}
    kind: Any = Annotated[int, WithJsonSchema(schema)]
    return Given(lambda given: given.read("limit", _limit) or usual, Parameter("limit", kind, description))


def parsed(
    name: str, read: Callable[[str], T], kind: Any, description: str, *, required: bool = False
) -> Given[T | None]:
    """Returns a parameter that `read` parses, which raises ValueError for an invalid text."""
    parameter = Parameter(name, kind, description, required=required)
    return Given(lambda given: given.read(name, read), parameter)


def text(name: str, description: str) -> Given[str | None]:
    """Returns a parameter with a text of up to 512 characters."""
    return parsed(name, any_text, Text, description)


def name(name: str, description: str, *, required: bool = False) -> Given[str | None]:
    """Returns a parameter with the name of a hook, source or dimension."""
    return parsed(name, _name, Name, description, required=required)


def uuid(name: str, description: str, *, required: bool = False) -> Given[str | None]:
    """Returns a parameter with a UUID."""
    return parsed(name, _uuid, Uuid, description, required=required)


def flag(name: str, description: str) -> Given[bool]:
    """Returns a parameter with `true` or `false`; false if it is absent."""
    return Given(lambda given: bool(given.read(name, _flag)), Parameter(name, bool, description))


def one_of(name: str, words: tuple[str, ...], description: str) -> Given[str | None]:
    """Returns a parameter with one of these words."""
    kind: Any = Literal[words]
    return Given(lambda given: given.word(name, words), Parameter(name, kind, description))


def when(name: str, description: str) -> Parameter:
    """Returns a parameter with a point in time; for a Given that reads a span."""
    return Parameter(name, When, f"{description}: {HOW}.")


SPAN = Given(
    lambda given: given.span(),
    when("from", "From this moment on"),
    Parameter("to", When, f"Before this moment: {HOW}; of a date its end."),
)
COUNT = flag("count", "true: `more` tells how many entries come behind this page, up to 1,000.")
EVENT_TYPE = parsed("type", event_type_of, EventType, "The event type, whole.")
HOOK = name("hook", "Id or name of a hook.")
SOURCE = name("source", "Name of a source.")
STATUSES = Given(
    lambda given: given.statuses("status"),
    Parameter(
        "status", list[Status], "One status or several: the parameter repeated, or with commas between them."
    ),
)


OUTCOME = one_of("outcome", OUTCOMES, "Outcome of the last attempt.")
STATUS_CODE = parsed("status_code", _code, int, "HTTP status or exit code of the last attempt.")


class PageQuery(Query):
    """The query of a list in pages: cursor and maximum number of items."""

    limit = at_most(DEFAULT_LIMIT, "How many items the page may have.")
    cursor = text("cursor", "Where the page begins: `next` of the page before, with the same filters.")

    def no_cursor(self) -> None:
        """Adds the problem of an invalid cursor for `check`."""
        self.wrong("cursor", "is none of those that this list gave as `next`")


P = TypeVar("P")
"""A page of any kind."""


async def read_page(query: PageQuery, read: Callable[..., Awaitable[P]]) -> P:
    """Returns the result of `read` for `after` and `limit`; raises RequestProblem for invalid parameters."""
    query.check()
    try:
        return await read(after=query.cursor, limit=query.limit)
    except ValueError:
        query.no_cursor()
        query.check()
        raise


class CountedQuery(PageQuery):
    """The query of a list that can count the items after a page."""

    count = COUNT


async def count_behind(
    query: CountedQuery, page: Page[Any], beyond: Callable[..., Awaitable[Beyond]]
) -> Beyond | None:
    """Returns the number of items after the page, if it was requested."""
    if not query.count:
        return None
    return Beyond(0, exact=True) if page.next is None else await beyond(after=page.next)


def page_by_key(
    query: PageQuery, items: Iterable[T], key: Callable[[T], str], form: re.Pattern[str] | None = None
) -> tuple[list[T], str | None]:
    """Returns one page of items in the order of their unique keys; the cursor is the last key of the previous page.

    Raises RequestProblem for invalid parameters, and for a cursor that has not the `form` of a key.
    """
    cursor = query.cursor
    if cursor is not None and form is not None and not form.fullmatch(cursor):
        query.no_cursor()
    query.check()
    left = sorted((item for item in items if cursor is None or key(item) > cursor), key=key)
    return left[: query.limit], key(left[query.limit - 1]) if len(left) > query.limit else None
