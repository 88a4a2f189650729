"""JSON that keeps every value: integers of any size, lone surrogates, and nesting that recursion cannot follow."""

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

from bridge.rules.bodies.spelling import table_text, to_json


def json_text(value: Any) -> str:
    r"""The value as JSON on one line; what JSON has no word for is null, a lone surrogate is `\ud800`."""
    text = to_json(value)
    return text.decode() if isinstance(text, bytes) else "".join(_parts(value))


def _parts(value: Any) -> list[str]:
    parts: list[str] = []
    waiting: list[tuple[bool, Any]] = [(False, value)]
    while waiting:
        is_text, item = waiting.pop()
        if is_text:
            parts.append(item)
        elif isinstance(item, Mapping):
            parts.append("{")
            waiting += reversed(
                [*_separated([(f"{json.dumps(str(k))}:", v) for k, v in item.items()]), (True, "}")]
            )
        elif isinstance(item, (list, tuple)):
            parts.append("[")
            waiting += reversed([*_separated([("", each) for each in item]), (True, "]")])
        else:
            parts.append(_scalar(item))
    return parts


def _separated(members: list[tuple[str, Any]]) -> list[tuple[bool, Any]]:
    found: list[tuple[bool, Any]] = []
    for number, (before, value) in enumerate(members):
        found += [(True, f",{before}" if number else before), (False, value)]
    return found


def _scalar(value: Any) -> str:
    if isinstance(value, float) and not isfinite(value):
        return "null"
    return json.dumps(value, default=table_text)
