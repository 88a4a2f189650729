"""Parameters of the admin API: what is wrong with them is told by name, and all of it at once."""

import re
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar
from uuid import UUID

from aiohttp import web

from bridge.http.problem import Refused
from bridge.model.delivery import Status
from bridge.rules.formats.identity import MAX_ID
from bridge.rules.formats.text import event_type
from bridge.rules.statistics.moments import moment
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
