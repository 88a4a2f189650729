"""The bodies of requests to the admin API: JSON that is validated before it is used.

Invalid JSON is answered with 400, a body that does not fit the model with 422; both list all problems by their path in the
body.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import isfinite
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bridge.bodies.exact import json_text
from bridge.codings.labels import is_plain
from bridge.core.event import Message
from bridge.formats.parse import Bounds, nests_deeper
from bridge.http.documents import RequestProblem
from bridge.http.input import invalid
from bridge.settings.shape import explain, written

Item = TypeVar("Item")

LARGE = 8192
"""Bytes from which on a body is parsed in a thread: a kilobyte may hold 500 values, and the event loop must not wait."""

_AT_ONCE = ThreadPoolExecutor(1, thread_name_prefix="large")
"""Parses one large body at a time: the result temporarily takes several times its size."""


def size_of(message: Message) -> int:
    """Returns the bytes to be processed; a small compressed body may inflate to many."""
    return len(message.body) if is_plain(message) else LARGE


async def aside(work: Callable[[], Item], size: int) -> Item:
    """Returns the result of `work`, which runs in a thread if it processes many bytes."""
    if size < LARGE:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_AT_ONCE, work)


T = TypeVar("T", bound=BaseModel)

MOST_LEVELS = 128
"""Maximum nesting of arrays and objects."""
_BODY_TIME = 30.0
"""Seconds within which a body must have arrived."""
_MOST_FAULTS = 100
_BOUNDS = Bounds(values=100_000)
"""The limits of parsed values: neither json nor pydantic lets another thread run before a whole body is parsed."""
_BOM = b"\xef\xbb\xbf"


async def body_of(request: web.Request, model: type[T], *, optional: bool = False) -> T:
    """Returns the model in the body; if it is `optional`, an empty body is an empty object.

    Raises RequestProblem: 400 for invalid JSON, 408, 413, 415, 422 for a body that does not fit the model.
    """
    raw = await raw_body(request)
    if optional and not raw.strip():
        raw = b"{}"
    return await aside(partial(_read, raw, model), len(raw))


async def json_of(request: web.Request) -> Any:
    """Returns the JSON value of the body; raises RequestProblem: 400 for invalid JSON, 408, 413, 415."""
    raw = await raw_body(request)
    return await aside(partial(_parsed, raw), len(raw))


async def raw_body(request: web.Request) -> bytes:
    """Returns the bytes of a body that may be JSON, whatever its content type; raises RequestProblem: 408, 413, 415."""
    if request.content_type.startswith("multipart/"):
        raise RequestProblem(415, "the body must be JSON (application/json), not a form in parts")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RequestProblem(415, "the body must not be compressed")
    return await body_in_time(request)


async def body_in_time(request: web.Request) -> bytes:
    """Returns the bytes of any body; raises RequestProblem: 408, 413."""
    try:
        async with asyncio.timeout(_BODY_TIME):
            return await request.read()
    except TimeoutError:
        raise RequestProblem(408, f"the body did not come within {_BODY_TIME:g} s") from None


def fitting(value: Any, model: type[T]) -> T:
    """Returns the model of a JSON value; raises RequestProblem (422) if it does not fit."""
    return _validated(json_text(value), model)


def unfit(faults: Iterable[tuple[str, str]]) -> RequestProblem:
    """Returns the problem (422) for valid JSON that does not fit: path in the body and reason of each fault."""
    return invalid(faults, 422)


def _read(raw: bytes, model: type[T]) -> T:
    _parsed(raw)
    return _validated(raw.removeprefix(_BOM), model)


def _validated(raw: bytes | str, model: type[T]) -> T:
    try:
        return model.model_validate_json(raw, strict=True)
    except ValidationError as error:
        raise _told(model, error.errors(include_url=False)) from None


def _told(model: type[BaseModel], errors: Sequence[ErrorDetails]) -> RequestProblem:
    if any(error["type"] == "json_invalid" for error in errors):
        return _no_json("it holds text that is not Unicode")
    faults: dict[str, str] = {}
    for error in errors[:_MOST_FAULTS]:
        # Values are shown only as far as `explain` allows: a body may hold secrets.
        path, reason = explain(model, error, ())
        # One fault for each path: a value that fits none of several types has an error for each type.
        faults.setdefault(written(path), reason)
    return unfit(faults.items())


def _parsed(raw: bytes) -> Any:
    """Returns the value; raises RequestProblem: 400 for JSON that is invalid by RFC 8259 or ambiguous, 413 for too many values."""
    if _BOUNDS.exceeded(raw):
        most = _BOUNDS.values
        raise RequestProblem(
            413, f"the body has over {most} values, of which {most // 4} may be arrays and objects"
        )
    try:
        text = raw.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        raise _no_json(f"it is not UTF-8 (byte {error.start + 1})") from None
    if not text.strip():
        raise _no_json("it is empty")
    try:
        value = json.loads(text, object_pairs_hook=_members, parse_constant=_no_number, parse_float=_number)
    except _Ambiguous as error:
        raise _no_json(str(error)) from None
    except json.JSONDecodeError as error:
        raise _no_json(f"{error.msg} (line {error.lineno}, column {error.colno})") from None
    except (ValueError, RecursionError):
        raise _no_json("it holds a number that is too long, or nests too deep") from None
    if nests_deeper(text, value, MOST_LEVELS):
        raise _no_json(f"it nests deeper than {MOST_LEVELS} levels")
    return value


class _Ambiguous(Exception):
    """The JSON is ambiguous: parsers read it differently. Never leaves this module."""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise _Ambiguous(f"the key {json.dumps(twice[:60])} stands twice in one object")
    return found


def _no_number(word: str) -> Any:
    raise _Ambiguous(f"{word} is no number of JSON")


def _number(digits: str) -> float:
    if not isfinite(found := float(digits)):
        raise _Ambiguous(f"{digits[:30]} is beyond what a number can be")
    return found


def _no_json(what: str) -> RequestProblem:
    return RequestProblem(
        400, f"the body is no JSON: {what}", members={"invalid-params": [{"name": "", "reason": what}]}
    )
