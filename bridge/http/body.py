"""Bodies of requests to the admin API: JSON that is checked before anything is made of it.

What is no JSON is answered with 400, what does not fit with 422; both name all that is wrong by its path in the body.
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
from bridge.codings.inflating import is_plain
from bridge.core.event import Message
from bridge.formats.parse import Bounds
from bridge.http.documents import Refused
from bridge.http.input import invalid
from bridge.settings.shape import explain, written

Item = TypeVar("Item")

LARGE = 8192
"""Bytes from which on a document is made in a thread: others should not wait for it, and a kilobyte may hold 500 values."""

_AT_ONCE = ThreadPoolExecutor(1, thread_name_prefix="large")
"""What is made of a large body takes several times its size for a moment: one at a time."""


def size_of(message: Message) -> int:
    """Bytes to work on; a small body that is compressed may come to many."""
    return len(message.body) if is_plain(message) else LARGE


async def aside(work: Callable[[], Item], size: int) -> Item:
    """What `work` gives; in a thread where it works on many bytes."""
    if size < LARGE:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_AT_ONCE, work)


T = TypeVar("T", bound=BaseModel)

MOST_LEVELS = 128
"""How deep arrays and objects may nest."""
_BODY_TIME = 30.0
"""Seconds within which a body must have come whole."""
_MOST_FAULTS = 100
_BOUNDS = Bounds(values=100_000)
"""Of what is parsed: neither json nor pydantic lets another thread run before all of a body is read."""
_BOM = b"\xef\xbb\xbf"


async def body_of(request: web.Request, model: type[T], *, optional: bool = False) -> T:
    """What the body holds; where it is `optional`, an empty one is an empty object.

    Raises Refused: 400 for what is no JSON, 408, 413, 415, 422 for what does not fit the model.
    """
    raw = await raw_body(request)
    if optional and not raw.strip():
        raw = b"{}"
    return await aside(partial(_read, raw, model), len(raw))


async def json_of(request: web.Request) -> Any:
    """The JSON value of the body, whatever it is; raises Refused: 400 for what is no JSON, 408, 413, 415."""
    raw = await raw_body(request)
    return await aside(partial(_parsed, raw), len(raw))


async def raw_body(request: web.Request) -> bytes:
    """The bytes of a body that can be JSON, whatever it calls itself; raises Refused: 408, 413, 415."""
    if request.content_type.startswith("multipart/"):
        raise Refused(415, "the body must be JSON (application/json), not a form in parts")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refused(415, "the body must not be compressed")
    return await body_in_time(request)


async def body_in_time(request: web.Request) -> bytes:
    """The bytes of a body, whatever they are; raises Refused: 408, 413."""
    try:
        async with asyncio.timeout(_BODY_TIME):
            return await request.read()
    except TimeoutError:
        raise Refused(408, f"the body did not come within {_BODY_TIME:g} s") from None


def fitting(value: Any, model: type[T]) -> T:
    """The model made of a JSON value; raises Refused (422) where it does not fit."""
    return _validated(json_text(value), model)


def unfit(faults: Iterable[tuple[str, str]]) -> Refused:
    """The problem (422) for a body that is JSON and not valid: path in the body and reason of each fault."""
    return invalid(faults, 422)


def _read(raw: bytes, model: type[T]) -> T:
    _parsed(raw)
    return _validated(raw.removeprefix(_BOM), model)


def _validated(raw: bytes | str, model: type[T]) -> T:
    try:
        return model.model_validate_json(raw, strict=True)
    except ValidationError as error:
        raise _told(model, error.errors(include_url=False)) from None


def _told(model: type[BaseModel], errors: Sequence[ErrorDetails]) -> Refused:
    if any(error["type"] == "json_invalid" for error in errors):
        return _no_json("it holds text that is not Unicode")
    faults: dict[str, str] = {}
    for error in errors[:_MOST_FAULTS]:
        # Values are shown only as far as `explain` lets them: a body may hold secrets.
        path, reason = explain(model, error, ())
        # One for each path, as a value that fits none of several kinds is told of for each kind.
        faults.setdefault(written(path), reason)
    return unfit(faults.items())


def _parsed(raw: bytes) -> Any:
    """The value; raises Refused: 400 for what RFC 8259 does not call JSON, or leaves open what it means, 413 for what has
    too many values.
    """
    if _BOUNDS.exceeded(raw):
        most = _BOUNDS.values
        raise Refused(413, f"the body has over {most} values, of which {most // 4} may be arrays and objects")
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
    if text.count("[") + text.count("{") > MOST_LEVELS and _nests_too_deep(value):
        raise _no_json(f"it nests deeper than {MOST_LEVELS} levels")
    return value


class _Ambiguous(Exception):
    """What different readers of JSON take for different things; never leaves this module."""


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


def _nests_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MOST_LEVELS):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _no_json(what: str) -> Refused:
    return Refused(
        400, f"the body is no JSON: {what}", members={"invalid-params": [{"name": "", "reason": what}]}
    )
