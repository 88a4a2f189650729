"""What is wrong with a value, in the words of the file instead of the validator's."""

import re
from collections.abc import Callable, Container
from typing import Any, Literal, get_args, get_origin

from pydantic_core import ErrorDetails

from bridge.settings.shape import Choice, Model, Place, fields_of, is_model, locate, nearest
from bridge.settings.yaml import KeyPath

_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}
_LENGTHS = {
    "too_short": ("at least", "min_length", ("entry", "entries")),
    "too_long": ("at most", "max_length", ("entry", "entries")),
    "string_too_short": ("at least", "min_length", ("character", "characters")),
    "string_too_long": ("at most", "max_length", ("character", "characters")),
}
_EXPECTED = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "list": "a list",
    "dict": "a mapping",
    "model": "a mapping",
}


_HOLDING = {"list_type", "dict_type", "model_type", "model_attributes_type"}


def explain(root: Model, error: ErrorDetails, private: Container[KeyPath]) -> tuple[KeyPath, str]:
    """The path of one validation error and a short text about it.

    Values of secrets, and those at or below a `private` path, are never shown.
    """
    place = locate(root, error["loc"])
    if error["type"].startswith("union_tag"):
        path = (*place.path, place.shape.key)
        return path, _wrong_tag(place.shape, error, _inside(path, private))
    return place.path, _message(place, error, place.secret or _inside(place.path, private))


def _inside(path: KeyPath, private: Container[KeyPath]) -> bool:
    return any(path[:length] in private for length in range(len(path) + 1))


def _message(place: Place, error: ErrorDetails, hidden: bool) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return (
            f"unknown key{nearest(str(place.path[-1]), list(fields_of(place.owner)) if place.owner else [])}"
        )
    if kind in _BOUNDS:
        word, bound = _BOUNDS[kind]
        return f"must be {word} {_number(context[bound])}, not {given(error['input'], hidden)}"
    if kind in _LENGTHS:
        word, bound, (one, many) = _LENGTHS[kind]
        return f"must have {word} {context[bound]} {one if context[bound] == 1 else many}"
    if kind == "value_error":
        return _own_words(str(context["error"]), error["input"], hidden)
    return _by_kind(kind)(error, hidden) + (_key_for(place, error["input"]) if kind in _HOLDING else "")


def _key_for(place: Place, value: Any) -> str:
    """A question that offers the key whose value this may be in the mapping that should stand there: `preset: splynx`."""
    fields = fields_of(place.shape).items() if is_model(place.shape) and isinstance(value, str) else ()
    meant = (name for name, field in fields if value in _choices(field.annotation))
    return next((f"; did you mean {name}: {value}?" for name in meant), "")


def _choices(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(choice for part in get_args(annotation) for choice in _choices(part))


def _by_kind(kind: str) -> Callable[[ErrorDetails, bool], str]:
    if kind == "literal_error":
        return _not_listed
    if kind == "string_pattern_mismatch":
        return _no_match
    if kind == "invalid_key":
        return lambda error, hidden: f"a key must be text, not {given(error['loc'][-1], hidden)}"
    return _wrong_type


def _wrong_type(error: ErrorDetails, hidden: bool) -> str:
    kind, value = error["type"], error["input"]
    expected = _EXPECTED.get(kind.partition("_")[0])
    if kind in {"int_from_float", "int_parsing_size"}:
        expected = "a whole number"
    if expected is None:
        return error["msg"] if not hidden else "not valid here"
    quotes = "; put it in quotes" if kind == "string_type" and isinstance(value, int | float) else ""
    example = "; write for example [a, b]" if kind == "list_type" and isinstance(value, str) else ""
    # What stands in place of a whole section or list may hold a password that belongs into it.
    hidden = hidden or (kind in _HOLDING and isinstance(value, str))
    return f"expected {expected}, got {given(value, hidden)}{quotes}{example}"


def _not_listed(error: ErrorDetails, hidden: bool) -> str:
    return _one_of(re.findall(r"'([^']*)'", error["ctx"]["expected"]), error["input"], hidden)


def _no_match(error: ErrorDetails, hidden: bool) -> str:
    return f"{given(error['input'], hidden)} does not match {error['ctx']['pattern']}"


def _wrong_tag(choice: Choice, error: ErrorDetails, hidden: bool) -> str:
    """The key that chooses among several models is missing, or names none of them."""
    known = list(choice.models)
    if error["type"] == "union_tag_not_found":
        return f"is missing; one of {', '.join(known)}"
    return _one_of(known, error["ctx"]["tag"], hidden)


def _one_of(known: list[str], value: Any, hidden: bool) -> str:
    hint = nearest(value, known) if isinstance(value, str) and not hidden else ""
    hint = hint if "did you mean" in hint else ""
    return f"expected one of {', '.join(known)}; got {given(value, hidden)}{hint}"


def _own_words(message: str, value: Any, hidden: bool) -> str:
    return message.replace(repr(value), "the given text") if hidden else message


def _number(value: float) -> str:
    return f"{value:.15g}"


def given(value: Any, hidden: bool) -> str:
    """What a value is, and the value itself where it may be shown and is short."""
    if value is None:
        return "nothing"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, dict):
        return "a mapping"
    kind = "text" if isinstance(value, str) else "true or false" if isinstance(value, bool) else "a number"
    if hidden:
        return kind
    if isinstance(value, bool):
        return "true" if value else "false"
    text = _number(value) if isinstance(value, float) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
