"""The shape of the settings by path, and the explanation of errors in the terms of the file."""

import re
import types
from collections.abc import Container, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from bridge.settings.transport import SecretUrl
from bridge.settings.yaml import KeyPath

Model = type[BaseModel]

TELLING = re.compile(
    "auth|cookie|credential|key|pass|pwd|secret|token|signature|(?<![a-z])(?:pw|dsn)(?![a-z])", re.IGNORECASE
)
"""Names of headers and variables whose values are not shown; their type does not tell that they are secret."""
_LOGIN = re.compile(r"://[^/?#\s@]*:[^\s@]+@")


def tells(name: str, text: str) -> bool:
    """Returns whether a header's or variable's value is a secret, by its name, or as an address with a password."""
    return bool(TELLING.search(name) or _LOGIN.search(text))


@dataclass(frozen=True, slots=True)
class Choice:
    """Several models, of which one key's value selects one."""

    key: str
    models: dict[str, Model]


@dataclass(frozen=True, slots=True)
class ListOf:
    item: Any


@dataclass(frozen=True, slots=True)
class DictOf:
    item: Any


Shape = Any
"""A Choice, a ListOf, a DictOf, a model, or the plain type of a single value."""


@dataclass(frozen=True, slots=True)
class ErrorLocation:
    """The place of an error: its path as written, and the model of its last key."""

    path: KeyPath
    owner: Model | None
    shape: Shape

    @property
    def secret(self) -> bool:
        """Returns whether the value at this place must not be shown."""
        return self.shape in (SecretStr, SecretUrl) or bool(TELLING.search(str(self.path[-1:])))


def shape_of(annotation: Any) -> Shape:
    """Returns the shape of an annotation; `| None` and constraints are left out."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return shape_of(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        members = [member for member in get_args(annotation) if member is not type(None)]
        return shape_of(members[0]) if len(members) == 1 else annotation
    if origin is list:
        return ListOf(shape_of(get_args(annotation)[0]))
    if origin is dict:
        return DictOf(shape_of(get_args(annotation)[1]))
    return annotation


def shape_of_field(field: FieldInfo) -> Shape:
    """Returns the shape of a model's field."""
    if isinstance(field.discriminator, str):
        models = get_args(field.annotation)
        return Choice(field.discriminator, {_tag(model, field.discriminator): model for model in models})
    return shape_of(field.annotation)


def _tag(model: Model, key: str) -> str:
    return str(get_args(model.model_fields[key].annotation)[0])


def fields_of(model: Model) -> dict[str, FieldInfo]:
    """Returns a model's fields by their names in the file: `schema` cannot be the name of a pydantic field."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def is_model(shape: Shape) -> bool:
    return isinstance(shape, type) and issubclass(shape, BaseModel)


def inside(shape: Shape, step: str | int) -> Shape | None:
    """Returns the shape at one key or index of `shape`; None if the key is not allowed."""
    if isinstance(shape, ListOf):
        return shape.item if isinstance(step, int) else None
    if isinstance(shape, DictOf):
        return shape.item
    if is_model(shape):
        field = fields_of(shape).get(str(step))
        return None if field is None else shape_of_field(field)
    return None


def locate(model: Model, loc: Sequence[str | int]) -> ErrorLocation:
    """Returns the place of an error by pydantic's `loc`, which also names the selected member of a union."""
    shape: Shape = model
    owner: Model | None = None
    path: KeyPath = ()
    for step in loc:
        if isinstance(shape, Choice):
            shape = shape.models[str(step)]
            continue
        if shape is None or step == "[key]":
            break
        owner = shape if is_model(shape) else None
        shape = inside(shape, step)
        path = (*path, step)
    return ErrorLocation(path, owner, shape)


def written(path: KeyPath) -> str:
    """Returns a path as messages show it: `hooks[2].target.headers["X-Y"]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.replace("_", "").replace("-", "").isalnum():
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text


def nearest(word: str, known: Sequence[str]) -> str:
    """Returns a question that suggests the known word nearest to `word`, ignoring case, or all known words if they are few."""
    if match := get_close_matches(word, known, n=1, cutoff=0.6):
        return f"; did you mean {match[0]}?"
    in_small = {each.lower(): each for each in reversed(known)}
    if match := get_close_matches(word.lower(), list(in_small), n=1, cutoff=0.6):
        return f"; did you mean {in_small[match[0]]}?"
    return f"; known: {', '.join(known)}" if 0 < len(known) <= 12 else ""


# The explanation of the validator's errors.


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
    """Returns the path of a validation error and a short text about it.

    Values of secrets, and those at or below a `private` path, are never shown.
    """
    place = locate(root, error["loc"])
    if error["type"].startswith("union_tag"):
        path = (*place.path, place.shape.key)
        return path, _wrong_tag(place.shape, error, _inside(path, private))
    return place.path, _message(place, error, place.secret or _inside(place.path, private))


def _inside(path: KeyPath, private: Container[KeyPath]) -> bool:
    return any(path[:length] in private for length in range(len(path) + 1))


def _message(place: ErrorLocation, error: ErrorDetails, hidden: bool) -> str:
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
    return _by_kind(error, hidden) + (_key_for(place, error["input"]) if kind in _HOLDING else "")


def _key_for(place: ErrorLocation, value: Any) -> str:
    """Returns a question that suggests the key for this value in the mapping that is expected there: `preset: splynx`."""
    fields = fields_of(place.shape).items() if is_model(place.shape) and isinstance(value, str) else ()
    meant = (name for name, field in fields if value in _choices(field.annotation))
    return next((f"; did you mean {name}: {value}?" for name in meant), "")


def _choices(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(choice for part in get_args(annotation) for choice in _choices(part))


def _by_kind(error: ErrorDetails, hidden: bool) -> str:
    match error["type"]:
        case "literal_error":
            return _one_of(re.findall(r"'([^']*)'", error["ctx"]["expected"]), error["input"], hidden)
        case "string_pattern_mismatch":
            return f"{given(error['input'], hidden)} does not match {error['ctx']['pattern']}"
        case "invalid_key":
            return f"a key must be text, not {given(error['loc'][-1], hidden)}"
    return _wrong_type(error, hidden)


def _wrong_type(error: ErrorDetails, hidden: bool) -> str:
    kind, value = error["type"], error["input"]
    expected = _EXPECTED.get(kind.partition("_")[0])
    if kind in {"int_from_float", "int_parsing_size"}:
        expected = "a whole number"
    if expected is None:
        return error["msg"] if not hidden else "not valid here"
    quotes = "; put it in quotes" if kind == "string_type" and isinstance(value, int | float) else ""
    example = "; write for example [a, b]" if kind == "list_type" and isinstance(value, str) else ""
    # A text in place of a whole section or list may be a password that belongs inside.
    hidden = hidden or (kind in _HOLDING and isinstance(value, str))
    return f"expected {expected}, got {given(value, hidden)}{quotes}{example}"


def _wrong_tag(choice: Choice, error: ErrorDetails, hidden: bool) -> str:
    """Returns the text for a key that selects among several models, and is missing or invalid."""
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
    """Returns the type of a value, and the value itself if it may be shown and is short."""
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
