"""Validation of parsed bodies against JSON Schemas."""

import json
import re
from functools import partial
from typing import Any

from jsonschema_rs import Draft202012Validator, FancyRegexOptions, ValidationError

from bridge.formats.decoder import Misfit

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_DETAIL = 500
"""Maximum characters of a validation error."""

_BOUNDED = FancyRegexOptions(backtrack_limit=100_000, size_limit=1_048_576, dfa_size_limit=4_194_304)
_VALUE = "\x00"
"""The placeholder of the invalid value in the validator's messages."""
_LONGEST_SHOWN = 20
_SMALL = 10_000
_BEGINNING = 20
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_SURROGATE = re.compile("[\ud800-\udfff]")


def compile_schema(schema: Any) -> Misfit:
    """Returns a function that validates a parsed body and returns the error text, None if it is valid.

    The text is the first error, such as `$.data.attributes.id: 5 is not of type "string"`, at most 500 characters; a
    value of over 20 characters is given by its size alone. A body nested too deep to be checked is invalid. Only
    references within the schema are followed. Raises ValueError, with the path, for an invalid schema.
    """
    if isinstance(schema, dict) and str(schema.get("$schema", DIALECT)).rstrip("#") != DIALECT:
        raise ValueError(f"$schema: {_cut(str(schema['$schema']), 100)} is not known; only {DIALECT} is")
    try:
        # Without `offline` the library would fetch each $ref, over HTTP and from files (SSRF).
        validator = Draft202012Validator(schema, offline=True, pattern_options=_BOUNDED, mask=_VALUE)
    except ValidationError as error:
        raise ValueError(_of_schema(error)) from None
    except (ValueError, TypeError, RecursionError) as error:  # such as lone surrogates and too deep nesting
        raise ValueError(f"no JSON Schema: {error}") from None
    return partial(_misfit, validator)


def _misfit(validator: Draft202012Validator, data: Any) -> str | None:
    try:
        return None if validator.is_valid(data) else _told(validator, data)
    except UnicodeEncodeError:
        return _misfit_but_for_surrogates(validator, data)
    except ValueError as error:  # nested deeper than 255 (jsonschema-rs 0.60)
        return f"$: cannot be checked: {error}"


def _told(validator: Draft202012Validator, data: Any) -> str:
    """Returns the first error of an invalid body.

    For a long array with errors throughout, `anyOf` lists all of them, ten seconds for a million. Therefore only the
    beginning of each array of a large body is checked.
    """
    if not _is_small(data):
        data = _beginnings(data)
        if not _is_small(data):
            return "$: does not fit; it is too large to say where"
    try:
        validator.validate(data)
    except ValidationError as error:
        nearest = _nearest(error)
        return _cut(f"{_path(nearest.instance_path)}: {_said(nearest)}", MAX_DETAIL)
    return f"$: does not fit, somewhere behind the first {_BEGINNING} of an array"


def _is_small(data: Any) -> bool:
    waiting, seen = [data], 0
    while waiting and seen <= _SMALL:
        item = waiting.pop()
        seen += 1
        if isinstance(item, (dict, list)):
            seen += len(item)
            waiting.extend(item.values() if isinstance(item, dict) else item)
    return seen <= _SMALL


def _beginnings(value: Any) -> Any:
    if isinstance(value, list):
        return [_beginnings(each) for each in value[:_BEGINNING]]
    return {key: _beginnings(each) for key, each in value.items()} if isinstance(value, dict) else value


def _nearest(error: ValidationError) -> ValidationError:
    """Returns, for a choice without a matching branch, the error of the branch that matched furthest."""
    branches = getattr(error.kind, "context", None) or ()
    found = [_nearest(each) for branch in branches for each in branch[:1]]
    furthest = max(found, key=lambda each: len(each.instance_path), default=error)
    return furthest if len(furthest.instance_path) > len(error.instance_path) else error


def _misfit_but_for_surrogates(validator: Draft202012Validator, data: Any) -> str | None:
    """Returns the error apart from lone surrogates, which are invalid Unicode but not a schema's concern."""
    try:
        return _misfit(validator, _replaced(data))
    except RecursionError:
        return "$: cannot be checked: it nests too deep"


def _replaced(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_replaced(key): _replaced(each) for key, each in value.items()}
    return [_replaced(each) for each in value] if isinstance(value, list) else value


def _path(steps: list[str | int]) -> str:
    """Returns the JSON path (RFC 9535)."""
    text = "$"
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += (
                f".{step}" if _KEY.fullmatch(step) else f"[{json.dumps(_cut(step, 100), ensure_ascii=False)}]"
            )
    return text


def _said(error: ValidationError) -> str:
    return error.message.replace(_VALUE, _shown(error.instance), 1)


def _shown(value: Any) -> str:
    """Returns a short value as it is, and only kind and size of any other, because it may be secret."""
    if isinstance(value, str):
        whole = len(value) <= _LONGEST_SHOWN
        return json.dumps(value, ensure_ascii=False) if whole else f"a text of {len(value)} characters"
    if isinstance(value, dict):
        return f"an object with {len(value)} keys"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    return (
        _cut(json.dumps(value), 2 * _LONGEST_SHOWN) if isinstance(value, int | float | None) else "a number"
    )


def _of_schema(error: ValidationError) -> str:
    where = _path(error.instance_path)
    return _cut(f"no JSON Schema: {where}: {_said(error)}", MAX_DETAIL)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
